// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;

/**
 * An array block: packed values of 4 bytes (the era array, by origin block) or 8 (a bitset: bit b of word w is origin block
 * 64 w + b). A tree ({@link BTreeNode}) leads to the blocks by their index in the array; every block is full but the last.
 * Little-endian; source: {@code struct array_block} in {@code dm-array.c}.
 *
 * <pre>
 *   0  u32  csum         see {@link Flyweight}, salt 595846735
 *   4  u32  MAX_ENTRIES  4072 / value_size, rounded down: 1018 or 509
 *   8  u32  NR_ENTRIES   values in use, from the first on
 *  12  u32  VALUE_SIZE   4 or 8
 *  16  u64  BLOCK_NR     the block's own number
 *  24  4072 bytes        VALUES
 * </pre>
 *
 * <p>Worked example: block 289 of the kernel-made image {@code b_eras_bs128.clean}, the last block of an era array. The array's
 * block 11 in it was written in era 3, at byte 24 + 4 × 11 = 68; the others never, as far as the array knows.
 *
 * <pre>
 *     0  8e 69 d2 35 fa 03 00 00 0c 00 00 00 04 00 00 00
 *    16  21 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00
 *    64  00 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00
 *
 *  checksum() = 0x35d2698e   maxEntries() = 1018   nrEntries() = 12   valueSize() = 4   blockNr() = 289
 *  valueInt(10) = 0   valueInt(11) = 3
 * </pre>
 */
public final class ArrayBlock extends Flyweight {
    /** Offset of how many values fit (u32). */
    public static final int MAX_ENTRIES = 4;
    /** Offset of how many values there are (u32). */
    public static final int NR_ENTRIES = 8;
    /** Offset of the bytes that a value has (u32). */
    public static final int VALUE_SIZE = 12;
    /** Offset of the block's own number (u64). */
    public static final int BLOCK_NR = 16;
    /** Offset of the first value. */
    public static final int VALUES = 24;

    /** Bytes of an era in the era array. */
    public static final int ERA_BYTES = 4;
    /** Bytes of a word of a bitset. */
    public static final int WORD_BYTES = 8;
    /** Eras in a full block of the era array: 1018. */
    public static final int ERAS_PER_BLOCK = (BlockDevice.BLOCK_BYTES - VALUES) / ERA_BYTES;
    /** 64-bit words in a full block of a bitset: 509. */
    public static final int WORDS_PER_BLOCK = (BlockDevice.BLOCK_BYTES - VALUES) / WORD_BYTES;

    /**
     * {@return how many values fit in a block}
     *
     * @param valueSize bytes of a value, at least 1
     */
    public static int maxEntries(int valueSize) {
        return (BlockDevice.BLOCK_BYTES - VALUES) / valueSize;
    }

    /**
     * Looks at a block.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @return this
     */
    public ArrayBlock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    /**
     * Makes the block an empty array block. Its number, its checksum and the rest of its bytes stay as they are.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @param valueSize bytes of a value
     * @return this
     */
    public ArrayBlock format(ByteBuffer buffer, int offset, int valueSize) {
        view(buffer, offset);
        buffer.putInt(base + MAX_ENTRIES, maxEntries(valueSize));
        buffer.putInt(base + NR_ENTRIES, 0);
        buffer.putInt(base + VALUE_SIZE, valueSize);
        return this;
    }

    /** {@return how many values fit, as stored (u32)} */
    public int maxEntries() {
        return buffer.getInt(base + MAX_ENTRIES);
    }

    /** {@return how many values there are, as stored (u32)} */
    public int nrEntries() {
        return buffer.getInt(base + NR_ENTRIES);
    }

    /**
     * Stores how many values there are.
     *
     * @param n 0 to {@link #maxEntries()}
     * @return this
     */
    public ArrayBlock nrEntries(int n) {
        buffer.putInt(base + NR_ENTRIES, n);
        return this;
    }

    /** {@return bytes of a value, as stored (u32)} */
    public int valueSize() {
        return buffer.getInt(base + VALUE_SIZE);
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /**
     * {@return whether the header is that of a block of such values, with no more of them than fit}
     *
     * @param valueSize bytes of a value
     */
    public boolean hasSaneShape(int valueSize) {
        return HeaderRules.broken(this, valueSize) == 0;
    }

    /**
     * {@return a value of a block of u32 values}
     *
     * @param index 0 to 1017
     */
    public int valueInt(int index) {
        return buffer.getInt(base + VALUES + 4 * index);
    }

    /**
     * Copies values of a block of u32 values.
     *
     * @param index of the first, 0 to 1017
     * @param out where they go
     * @param at where in it, the first
     * @param count how many
     */
    public void valuesInt(int index, int[] out, int at, int count) {
        buffer.slice(base + VALUES + 4 * index, 4 * count)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asIntBuffer()
                .get(out, at, count);
    }

    /**
     * Stores a value of a block of u32 values.
     *
     * @param index 0 to 1017
     * @param value u32
     * @return this
     */
    public ArrayBlock valueInt(int index, int value) {
        buffer.putInt(base + VALUES + 4 * index, value);
        return this;
    }

    /**
     * {@return a value of a block of u64 values}
     *
     * @param index 0 to 508
     */
    public long valueLong(int index) {
        return buffer.getLong(base + VALUES + 8 * index);
    }

    /**
     * Stores a value of a block of u64 values.
     *
     * @param index 0 to 508
     * @param value u64
     * @return this
     */
    public ArrayBlock valueLong(int index, long value) {
        buffer.putLong(base + VALUES + 8 * index, value);
        return this;
    }
}
