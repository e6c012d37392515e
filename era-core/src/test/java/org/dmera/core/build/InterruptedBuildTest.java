// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.FaultyBlockDevice;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.Health;
import org.dmera.testkit.RecordingBlockDevice;
import org.junit.jupiter.api.Test;

/**
 * Building over older metadata, cut short: what is left is the older one untouched, or the new one whole, or nothing
 * that could be taken for metadata.
 */
class InterruptedBuildTest {
    private static final MemoryBlockDevice SOURCE = image("f_undigested.clean");
    private static final byte[] OLDER =
            Arrays.copyOf(image("g_resize.grown_live").bytes(), SOURCE.bytes().length);
    private static final byte[] COMPLETE = complete();

    private static MemoryBlockDevice image(String name) {
        JsonNode image = Fixtures.image(name);
        return new MemoryBlockDevice(Fixtures.imageBytes(image));
    }

    private static byte[] complete() {
        try {
            MemoryBlockDevice device = new MemoryBlockDevice(OLDER.clone());
            build(device);
            Health.require(device, "the new metadata");
            return device.bytes();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void build(BlockDevice device) throws IOException {
        MetadataBuilder builder = new MetadataBuilder(device);
        boolean done = false;
        try {
            MetadataScanner.scan(SOURCE, MetadataRoots.read(SOURCE), builder);
            done = true;
        } finally {
            if (!done) {
                builder.abandon();
            }
        }
    }

    private static void requireHonest(MemoryBlockDevice device, String when) {
        try {
            MetadataRoots.read(device);
        } catch (IOException notMetadata) {
            return;
        }
        if (!Arrays.equals(OLDER, device.bytes())) {
            assertArrayEquals(COMPLETE, device.bytes(), when + ": it is taken for metadata, but is neither");
        }
    }

    @Test
    void aPowerCutAtAnyWriteOrFlushLeavesNoHalfMetadata() throws IOException {
        RecordingBlockDevice device = new RecordingBlockDevice(new MemoryBlockDevice(OLDER.clone()));
        build(device);
        Random random = new Random(1);
        RecordingBlockDevice.PowerCuts cuts = device.new PowerCuts();
        do {
            String when = "after event " + cuts.position();
            cuts.cutWithoutUnflushed(left -> requireHonest(left, when + ", unflushed writes lost"));
            cuts.cutWithAllUnflushed(left -> requireHonest(left, when + ", unflushed writes stored"));
            cuts.cutAtRandom(random, left -> requireHonest(left, when + ", unflushed writes torn"));
        } while (cuts.advance());
        assertTrue(cuts.position() > 100, "only " + cuts.position() + " events");
    }

    @Test
    void threeFlushesAreEnough() throws IOException {
        RecordingBlockDevice device = new RecordingBlockDevice(new MemoryBlockDevice(OLDER.clone()));
        build(device);
        // One that makes the old superblock's end durable, one before the new one, one after it.
        assertTrue(device.flushCount() == 3, device.flushCount() + " flushes");
    }

    @Test
    void aDeviceThatFailsAtAnyWriteOrFlushHoldsNoHalfMetadata() throws IOException {
        for (int n = 0; ; n++) {
            MemoryBlockDevice memory = new MemoryBlockDevice(OLDER.clone());
            FaultyBlockDevice device = new FaultyBlockDevice(memory);
            device.failAfter(n, false, n % 9);
            if (n > 0 && completes(device)) {
                assertTrue(device.isArmed());
                break;
            }
            if (n == 0) {
                assertThrows(IOException.class, () -> build(device));
            }
            requireHonest(memory, "failure of call " + n);
        }
    }

    private static boolean completes(BlockDevice device) {
        try {
            build(device);
            return true;
        } catch (IOException injected) {
            return false;
        }
    }

    @Test
    void aDeviceThatIsTooSmallIsLeftAlone() {
        byte[] small = Arrays.copyOf(OLDER, 20 * BlockDevice.BLOCK_BYTES);
        byte[] before = small.clone();
        IOException e = assertThrows(IOException.class, () -> build(new MemoryBlockDevice(small)));
        assertTrue(e.getMessage().startsWith("Output file too small: it has 20 blocks"), e.getMessage());
        assertArrayEquals(before, small);
    }
}
