// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.EraRuns;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.read.MetadataRoots;
import org.junit.jupiter.api.Test;

/** A point in a device's history fits what came of it, and no other history. */
class EraPointTest {
    private static final int BLOCKS = 3000;

    private final Random random = new Random(5);

    /** One device whose metadata is driven by the test. */
    private final class Device {
        final MemoryBlockDevice bytes = new MemoryBlockDevice(512);
        final EraMetadata metadata;

        Device() throws IOException {
            metadata = EraMetadata.openOrFormat(bytes, 8);
            metadata.resize(BLOCKS);
            metadata.commit();
            nextEra();
        }

        void nextEra() throws IOException {
            metadata.rollover();
            metadata.commit();
        }

        void write(int... blocks) throws IOException {
            for (int block : blocks) {
                metadata.mark(block);
            }
            metadata.commit();
        }

        void live(int eras) throws IOException {
            for (int i = 0; i < eras; i++) {
                for (int j = random.nextInt(30); j > 0; j--) {
                    write(random.nextInt(BLOCKS));
                }
                nextEra();
            }
        }

        void reach(long era) throws IOException {
            while (metadata.currentEra() < era) {
                nextEra();
            }
        }

        MetadataRoots roots() throws IOException {
            return MetadataRoots.read(bytes);
        }

        EraPoint point() throws IOException {
            nextEra();
            return EraPoint.of(bytes, roots(), metadata.currentEra());
        }

        String contradiction(EraPoint point) throws IOException {
            return point.contradiction(bytes, roots());
        }
    }

    @Test
    void whateverIsWrittenLaterFitsThePoint() throws IOException {
        Device device = new Device();
        List<EraPoint> points = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            device.live(random.nextInt(4));
            points.add(device.point());
            for (EraPoint point : points) {
                assertNull(device.contradiction(point));
            }
        }
        device.metadata.resize(BLOCKS + 1000);
        device.metadata.commit();
        device.nextEra();
        device.write(BLOCKS + 999);
        for (EraPoint point : points) {
            assertNull(device.contradiction(point), "an origin that grew has the same history");
        }
    }

    @Test
    void aSingleBlockOfAnotherHistoryContradicts() throws IOException {
        int[] all = new java.util.Random(1).ints(400, 0, BLOCKS).distinct().toArray();
        Device device = new Device();
        device.write(all);
        EraPoint point = device.point();
        Device same = new Device();
        same.write(all);
        same.reach(point.era() + 5);
        assertNull(same.contradiction(point), "the very same history can't be told apart");
        Device lacksOne = new Device();
        lacksOne.write(Arrays.copyOf(all, all.length - 1));
        lacksOne.reach(point.era() + 5);
        assertNotNull(lacksOne.contradiction(point), "a block that was written is not any more");
        Device hasOneMore = new Device();
        hasOneMore.write(all);
        hasOneMore.nextEra();
        int never = 0;
        while (Arrays.binarySearch(Arrays.stream(all).sorted().toArray(), never) >= 0) {
            never++;
        }
        EraPoint later = device.point();
        hasOneMore.write(never);
        hasOneMore.reach(later.era() + 5);
        assertTrue(
                hasOneMore.contradiction(later).contains("block " + never),
                "a block that was never written has an old era");
    }

    @Test
    void metadataWhoseEraIsBelowThePointsContradicts() throws IOException {
        Device device = new Device();
        device.live(5);
        EraPoint point = device.point();
        Device anew = new Device();
        assertTrue(anew.contradiction(point).contains("era went back"), anew.contradiction(point));
    }

    @Test
    void whatIsLeftOfAnOriginThatShrankHasTheSameHistory() throws IOException {
        Device device = new Device();
        device.write(3, BLOCKS - 1);
        EraPoint point = device.point();
        device.metadata.resize(10);
        device.metadata.commit();
        device.nextEra();
        assertNull(device.contradiction(point));
    }

    @Test
    void aPointIsWrittenAndReadBack() throws IOException {
        Device device = new Device();
        device.live(10);
        EraPoint point = device.point();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        point.write(bytes);
        EraPoint read = EraPoint.read(new ByteArrayInputStream(bytes.toByteArray()));
        assertEquals(point.era(), read.era());
        device.live(3);
        assertNull(device.contradiction(read));
        Device other = new Device();
        other.live(20);
        assertNotNull(other.contradiction(read));
        for (int length = 0; length < bytes.size(); length++) {
            byte[] cut = Arrays.copyOf(bytes.toByteArray(), length);
            IOException e = assertThrows(
                    IOException.class, () -> EraPoint.read(new ByteArrayInputStream(cut)), length + " bytes");
            assertEquals("a point in an era device's history is cut: its end is missing", e.getMessage());
        }
    }

    @Test
    void runsAreTheSameWhateverPartOfTheDeviceIsHeldInMemory() throws IOException {
        Device device = new Device();
        device.live(30);
        List<String> whole = runs(device, BLOCKS);
        for (int window : new int[] {1, 64, 1000, 2999}) {
            assertEquals(whole, runs(device, window));
        }
    }

    private static List<String> runs(Device device, int window) throws IOException {
        List<String> runs = new ArrayList<>();
        long[] next = {0};
        EraRuns.forEach(device.bytes, device.roots(), window, (first, count, era) -> {
            assertEquals(next[0], first);
            next[0] = first + count;
            runs.add(first + "+" + count + " " + era);
        });
        assertEquals(BLOCKS, next[0]);
        return runs;
    }
}
