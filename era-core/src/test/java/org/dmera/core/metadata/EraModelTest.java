// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.EraExerciser;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Health;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EraModelTest {
    private static final int OPERATIONS = 10_000;

    @ParameterizedTest(name = "seed {0}, {1} metadata blocks, up to {2} origin blocks, cache of {3}")
    @CsvSource({
        "1,   16,    64,   4096",
        "2,   24,    2000, 16",
        "3,   40,    5000, 4096",
        "4,   64,    9000, 16",
        "5,   256,   9000, 64",
        "6,   1024,  30000, 4096",
        "7,   20000, 20000, 32",
    })
    void tenThousandRandomOperationsMeanWhatTheModelSays(long seed, int metadataBlocks, int maxBlocks, int cacheBlocks)
            throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(metadataBlocks);
        String[] when = {""};
        EraExerciser exerciser = new EraExerciser(device, seed, maxBlocks, cacheBlocks, state -> {
            if (metadataBlocks <= 1024) {
                Health.require(device, when[0]);
            }
            EraModel onDisk = EraModel.read(device);
            assertTrue(state.sameMeaning(onDisk), () -> when[0] + ": " + onDisk + ", expected " + state);
        });
        for (int i = 0; i < OPERATIONS; i++) {
            when[0] = "seed " + seed + " before operation " + i + ", after " + exerciser.last();
            exerciser.step();
            assertArrayEquals(exerciser.model().eras(), KernelReplayTest.eras(exerciser.metadata()), when[0]);
        }
        exerciser.metadata().commit();
        Health.require(device, "at the end");
    }
}
