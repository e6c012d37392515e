// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/**
 * A space map bitmap block: 16320 two-bit reference counts, four to a byte. Little-endian; source:
 * {@code struct disk_bitmap_header} and {@code sm_lookup_bitmap} in {@code dm-space-map-common.c}.
 *
 * <pre>
 *   0  u32  csum      see {@link Flyweight}, salt 240779
 *   4  u32  not used
 *   8  u64  BLOCK_NR  the block's own number
 *  16  4080 bytes     COUNTS
 *
 *  byte 16 + e / 4:     bit 7   6   5   4   3   2   1   0
 *  counts e to e + 3:       l   h   l   h   l   h   l   h
 *                           e + 3   e + 2   e + 1     e      (e a multiple of 4)
 *  count = 2 × h + l:   0 free, 1, 2, or 3 for "see the ref-count tree"
 * </pre>
 *
 * <p>The <em>high</em> bit comes first: as numbers, the pairs 01 and 10 are swapped against what one would expect.
 *
 * <p>Worked example: block 13 of the kernel-made image {@code a_fresh_bs128.clean}. Of byte 0x22 = 0010 0010 the lowest pair is
 * 10, so h = 0 and l = 1: a count of 1; the next is 00, free.
 *
 * <pre>
 *     0  8a 4a 68 ef 00 00 00 00 0d 00 00 00 00 00 00 00
 *    16  22 22 2a aa 00 00 00 00 00 00 00 00 00 00 00 00
 *
 *  checksum() = 0xef684a8a   blockNr() = 13
 *  count(0) = 1   count(1) = 0   count(2) = 1   count(3) = 0
 *  count(8) = 1   count(10) = 1   count(11) = 0   count(15) = 1   count(16) = 0
 *  firstFree(12, 16320) = 16   countFree() = 16309
 * </pre>
 */
public final class BitmapBlock extends Flyweight {
    /** Offset of the block's own number (u64). */
    public static final int BLOCK_NR = 8;
    /** Offset of the counts. */
    public static final int COUNTS = 16;
    /** Counts in a bitmap block. */
    public static final int ENTRIES = (BlockDevice.BLOCK_BYTES - COUNTS) * 4;
    /** A stored count of 3: the true count is in the ref-count tree. */
    public static final int SEE_TREE = 3;

    /**
     * Looks at a block.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @return this
     */
    public BitmapBlock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /**
     * {@return the stored count, 0 to 3}
     *
     * @param entry 0 to 16319
     */
    public int count(int entry) {
        int pair = buffer.get(base + COUNTS + (entry >> 2)) >> ((entry & 3) * 2);
        return (pair & 1) << 1 | (pair >> 1 & 1);
    }

    /**
     * Stores a count.
     *
     * @param entry 0 to 16319
     * @param count 0 to 3
     * @return this
     */
    public BitmapBlock count(int entry, int count) {
        int at = base + COUNTS + (entry >> 2);
        int shift = (entry & 3) * 2;
        int pair = (count & 1) << 1 | (count >> 1 & 1);
        buffer.put(at, (byte) (buffer.get(at) & ~(3 << shift) | pair << shift));
        return this;
    }

    /**
     * {@return the first entry in {@code [begin, end)} whose count is 0, or −1}
     *
     * @param begin 0 to 16320
     * @param end 0 to 16320
     */
    public int firstFree(int begin, int end) {
        for (int e = begin; e < end; e++) {
            if ((e & 31) == 0 && e + 32 <= end && noneFree(buffer.getLong(base + COUNTS + (e >> 2)))) {
                e += 31;
            } else if (count(e) == 0) {
                return e;
            }
        }
        return -1;
    }

    /** {@return how many of all 16320 counts are 0} */
    public int countFree() {
        int free = 0;
        for (int at = COUNTS; at < BlockDevice.BLOCK_BYTES; at += 8) {
            long word = buffer.getLong(base + at);
            free += 32 - Long.bitCount((word | word >>> 1) & 0x5555555555555555L);
        }
        return free;
    }

    private static boolean noneFree(long word) {
        return ((word | word >>> 1) & 0x5555555555555555L) == 0x5555555555555555L;
    }
}
