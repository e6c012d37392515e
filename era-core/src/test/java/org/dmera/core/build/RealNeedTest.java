// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.junit.jupiter.api.Test;

/** Who is told that a device is too small is told what is needed: with that it works, with a block less it doesn't. */
class RealNeedTest {
    private static final Pattern NEED = Pattern.compile("the metadata needs (\\d+) blocks");

    @Test
    void theSizeThatIsAskedForIsTheLeastThatFits() throws IOException {
        for (int[] content : new int[][] {{0, 0}, {1, 1}, {1018, 3}, {1019, 3}, {300_000, 5}, {40_000, 210}}) {
            int need = need(content, 1);
            assertTrue(need > 1);
            for (int less : new int[] {2, need / 3, need / 2, need - 1}) {
                assertEquals(need, less < need && less > 0 ? need(content, less) : need);
            }
            MemoryBlockDevice device = new MemoryBlockDevice(need);
            build(device, content);
            assertTrue(MetadataChecker.check(device).isClean());
        }
    }

    @Test
    void aDeviceThatCanNotHoldTheErasIsNotTouched() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(20);
        java.util.Arrays.fill(device.bytes(), (byte) 7);
        byte[] before = device.bytes().clone();
        assertThrows(IOException.class, () -> build(device, new int[] {30_000, 1}));
        assertArrayEquals(before, device.bytes());
    }

    private static int need(int[] content, int blocks) {
        IOException refusal = assertThrows(IOException.class, () -> build(new MemoryBlockDevice(blocks), content));
        Matcher need = NEED.matcher(refusal.getMessage());
        assertTrue(need.find(), refusal.getMessage());
        return Integer.parseInt(need.group(1));
    }

    /** So many origin blocks, and so many writesets of them. */
    private static void build(MemoryBlockDevice device, int[] content) throws IOException {
        MetadataBuilder builder = new MetadataBuilder(device);
        ByteBuffer values = ByteBuffer.allocate(4 * content[0] + 8).order(ByteOrder.LITTLE_ENDIAN);
        builder.superblock(8, content[0], 500);
        for (int era = 1; era <= content[1]; era++) {
            builder.beginWriteset(era, content[0]);
            builder.words(0, values, 0, (content[0] + 63) / 64);
            builder.endWriteset();
        }
        builder.beginEraArray();
        builder.eras(0, values, 0, content[0]);
        builder.endEraArray();
        builder.end();
    }
}
