// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The 12-byte value of the writeset tree, whose keys are eras. Source: {@code struct writeset_disk} in
 * {@code dm-era-target.c}.
 *
 * <pre>
 *   0  u32  nr_bits  bits of the writeset: the origin's blocks when its era began
 *   4  u64  root     root of the bitset, an array of 64-bit words
 * </pre>
 *
 * <p>Values are packed, so the u64 is not aligned. Worked example: block 1421 of the kernel-made image
 * {@code f_undigested.clean} is a leaf of a writeset tree ({@link BTreeNode}) with the values of eras 1 and 2, the first at
 * byte 32 + 8 × 201 = 1640.
 *
 * <pre>
 *     0  2b 04 94 3b 02 00 00 00 8d 05 00 00 00 00 00 00
 *    16  02 00 00 00 c9 00 00 00 0c 00 00 00 00 00 00 00
 *    32  01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
 *  1632  00 00 00 00 00 00 00 00 00 00 10 00 c7 04 00 00
 *  1648  00 00 00 00 00 00 10 00 74 05 00 00 00 00 00 00
 *
 *  nrBits(1640) = 1048576   root(1640) = 1223
 *  nrBits(1652) = 1048576   root(1652) = 1396
 * </pre>
 */
public final class WritesetValue {
    /** Bytes of a value. */
    public static final int BYTES = 12;

    private WritesetValue() {}

    /**
     * {@return bits of the writeset (u32): the origin's blocks when its era began}
     *
     * @param buffer little-endian
     * @param offset where in it the value begins, in bytes
     */
    public static long nrBits(ByteBuffer buffer, int offset) {
        return Integer.toUnsignedLong(buffer.getInt(offset));
    }

    /**
     * {@return the metadata block (u64) that is the root of the bitset}
     *
     * @param buffer little-endian
     * @param offset where in it the value begins, in bytes
     */
    public static long root(ByteBuffer buffer, int offset) {
        return buffer.getLong(offset + 4);
    }

    /**
     * Stores a value.
     *
     * @param buffer little-endian
     * @param offset where in it the value begins, in bytes
     * @param nrBits u32
     * @param root metadata block, u64
     */
    public static void put(ByteBuffer buffer, int offset, long nrBits, long root) {
        buffer.putInt(offset, (int) nrBits);
        buffer.putLong(offset + 4, root);
    }
}
