// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The 12-byte value of the writeset tree: u32 nr_bits, u64 root of the bitset (little-endian). Source: the kernel's
 * dm-era on-disk format.
 */
public final class WritesetValue {
    public static final int BYTES = 12;

    private WritesetValue() {}

    /** Bits of the writeset (u32): the origin's blocks when its era began. */
    public static long nrBits(ByteBuffer buffer, int offset) {
        return Integer.toUnsignedLong(buffer.getInt(offset));
    }

    /** Root of the bitset. */
    public static long root(ByteBuffer buffer, int offset) {
        return buffer.getLong(offset + 4);
    }

    public static void put(ByteBuffer buffer, int offset, long nrBits, long root) {
        buffer.putInt(offset, (int) nrBits);
        buffer.putLong(offset + 4, root);
    }
}
