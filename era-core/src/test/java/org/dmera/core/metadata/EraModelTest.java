// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.EraExerciser;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Health;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EraModelTest {
    private static final int OPERATIONS = 10_000;
    /** A device on which so many operations in a row fail is full for good. */
    private static final int STUCK = 20;

    private final String[] when = {""};

    @ParameterizedTest(name = "seed {0}, {1} metadata blocks, up to {2} origin blocks, cache of {3}")
    @CsvSource({
        "1,   22,    64,   4096",
        "2,   40,    2000, 16",
        "3,   64,    5000, 4096",
        "4,   128,   9000, 16",
        "5,   1024,  9000, 64",
        "6,   17000, 4000, 4096",
    })
    void tenThousandRandomOperationsMeanWhatTheModelSays(long seed, int metadataBlocks, int maxBlocks, int cacheBlocks)
            throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(metadataBlocks);
        long nextSeed = seed;
        EraExerciser exerciser = null;
        int failedInARow = STUCK;
        for (int i = 0; i < OPERATIONS; i++) {
            if (failedInARow == STUCK) {
                Arrays.fill(device.bytes(), (byte) 0);
                exerciser = exerciser(device, nextSeed, maxBlocks, cacheBlocks);
                nextSeed += 1000;
                failedInARow = 0;
            }
            when[0] = "seed " + seed + " before operation " + i + ", after " + exerciser.last();
            int failures = exerciser.failures();
            exerciser.step();
            failedInARow = exerciser.failures() > failures ? failedInARow + 1 : 0;
            if (i % 7 == 0) {
                assertArrayEquals(exerciser.model().eras(), KernelReplayTest.eras(exerciser.metadata()), when[0]);
            }
        }
        Health.require(device, "at the end");
    }

    private EraExerciser exerciser(MemoryBlockDevice device, long seed, int maxBlocks, int cacheBlocks)
            throws IOException {
        return new EraExerciser(device, seed, maxBlocks, cacheBlocks, state -> {
            Health.require(device, when[0]);
            EraModel onDisk = EraModel.read(device);
            assertTrue(state.sameMeaning(onDisk), () -> when[0] + ": " + onDisk + ", expected " + state);
        });
    }
}
