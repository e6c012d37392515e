// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.stream.Stream;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.EraExerciser;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.Health;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class KernelImagesGoOnTest {
    private static final int OPERATIONS = Boolean.getBoolean("era.nightly") ? 400 : 40;

    static Stream<JsonNode> images() {
        return Fixtures.images().stream();
    }

    @ParameterizedTest
    @MethodSource("images")
    void ourEngineGoesOnWhereTheKernelLeftOff(JsonNode image) throws IOException {
        String name = image.get("name").asText();
        MemoryBlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(image));
        int nrBlocks = image.get("nr_blocks").asInt();
        String[] when = {name};
        EraExerciser[] exerciser = {null};
        exerciser[0] = new EraExerciser(
                device,
                name.hashCode(),
                nrBlocks == 0 ? 3000 : nrBlocks,
                1024,
                image.get("block_size_sectors").asLong(),
                state -> {
                    when[0] = name + ", " + exerciser[0].last();
                    Health.requireAllButFormatsIndex(device, when[0], nrBlocks == 0);
                    assertTrue(state.sameMeaning(EraModel.read(device)), when[0]);
                });
        for (int i = 0; i < OPERATIONS; i++) {
            exerciser[0].step();
        }
        assertEquals(0, exerciser[0].failures(), name);
    }
}
