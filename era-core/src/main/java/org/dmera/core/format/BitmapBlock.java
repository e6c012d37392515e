// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/**
 * A space-map bitmap block: a header of 16 bytes (u32 checksum, u32 not used, u64 own number), then 16320 two-bit
 * reference counts, four to a byte.
 *
 * <p>For entry e the <em>high</em> bit of the count is at bit 2e and the <em>low</em> bit at bit 2e + 1 of the
 * little-endian bit string: 01 and 10 are swapped against what one would expect. Counts: 0 free, 1, 2, and 3 for "see
 * the ref-count tree". Source: the kernel's persistent-data library.
 */
public final class BitmapBlock extends Flyweight {
    public static final int BLOCK_NR = 8;
    public static final int COUNTS = 16;
    /** Counts in a bitmap block. */
    public static final int ENTRIES = (BlockDevice.BLOCK_BYTES - COUNTS) * 4;
    /** A stored count of 3: the true count is in the ref-count tree. */
    public static final int SEE_TREE = 3;

    /** Looks at the block at {@code offset}; returns this. */
    public BitmapBlock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** The stored count, 0 to 3. */
    public int count(int entry) {
        int pair = buffer.get(base + COUNTS + (entry >> 2)) >> ((entry & 3) * 2);
        return (pair & 1) << 1 | (pair >> 1 & 1);
    }

    /** Stores a count, 0 to 3. */
    public BitmapBlock count(int entry, int count) {
        int at = base + COUNTS + (entry >> 2);
        int shift = (entry & 3) * 2;
        int pair = (count & 1) << 1 | (count >> 1 & 1);
        buffer.put(at, (byte) (buffer.get(at) & ~(3 << shift) | pair << shift));
        return this;
    }

    /** The first entry in {@code [begin, end)} whose count is 0, or −1. */
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

    /** How many of all 16320 counts are 0. */
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
