// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.MetadataDiff;
import org.dmera.testkit.Scenario;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class KernelReplayTest {
    private int imagesCompared;
    private int statusLinesCompared;

    static Stream<String> scenarios() {
        return Scenario.names().stream();
    }

    @ParameterizedTest
    @MethodSource("scenarios")
    void replayedOperationsLeaveTheKernelsBytesAndStatusLines(String scenario) throws IOException {
        Scenario.replay(scenario, new Compare(scenario));
    }

    @AfterAll
    void nothingWasLeftOut() {
        assertEquals(75, imagesCompared, "images compared byte for byte");
        assertEquals(386, statusLinesCompared, "status lines before the first image that depended on timing");
    }

    private final class Compare implements Scenario.Listener {
        /** Until the first image whose layout depended on timing; never when all of them did. */
        private boolean deterministic;

        Compare(String scenario) {
            deterministic = Fixtures.images().stream()
                    .anyMatch(i -> i.get("scenario").asText().equals(scenario)
                            && i.get("deterministic").asBoolean());
        }

        @Override
        public void status(int step, String recorded, String ours) {
            if (deterministic) {
                assertEquals(recorded, ours, "status of step " + step);
                statusLinesCompared++;
            }
        }

        @Override
        public void image(int step, String name, MemoryBlockDevice ours) throws IOException {
            JsonNode image = Fixtures.image(name);
            MemoryBlockDevice kernels = new MemoryBlockDevice(Fixtures.imageBytes(image));
            if (image.get("deterministic").asBoolean()) {
                assertTrue(deterministic, "an image is comparable only when everything before it is");
                List<MetadataDiff.Difference> differences = MetadataDiff.compare(kernels, ours);
                assertTrue(differences.isEmpty(), () -> name + " (kernel / ours): " + differences);
                imagesCompared++;
            } else {
                deterministic = false;
                assertSameMeaning(name, kernels, ours);
            }
        }
    }

    static void assertSameMeaning(String name, BlockDevice kernels, BlockDevice ours) throws IOException {
        JsonNode image = Fixtures.image(name);
        long blockSize = image.get("block_size_sectors").asLong();
        EraMetadata a = EraMetadata.open(kernels, blockSize, 256);
        EraMetadata b = EraMetadata.open(ours, blockSize, 256);
        assertEquals(a.nrBlocks(), b.nrBlocks(), name);
        assertEquals(a.currentEra(), b.currentEra(), name);
        assertEquals(a.metadataSnap() != 0, b.metadataSnap() != 0, name);
        assertArrayEquals(eras(a), eras(b), name);
    }

    static int[] eras(EraMetadata metadata) throws IOException {
        int[] eras = new int[(int) metadata.nrBlocks()];
        int slice = 1 << 16;
        for (int first = 0; first < eras.length; first += slice) {
            metadata.readEras(first, Math.min(slice, eras.length - first), eras, first);
        }
        return eras;
    }
}
