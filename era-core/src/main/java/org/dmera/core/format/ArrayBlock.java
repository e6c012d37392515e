// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/**
 * An array block: a header of 24 bytes, then packed values of 4 bytes (era array) or 8 (words of a bitset).
 *
 * <p>Header (little-endian; source: the kernel's persistent-data library): u32 checksum, u32 max_entries, u32
 * nr_entries, u32 value_size, u64 own number. Every block of an array is full but the last.
 */
public final class ArrayBlock extends Flyweight {
    public static final int MAX_ENTRIES = 4;
    public static final int NR_ENTRIES = 8;
    public static final int VALUE_SIZE = 12;
    public static final int BLOCK_NR = 16;
    public static final int VALUES = 24;

    /** Bytes of an era in the era array. */
    public static final int ERA_BYTES = 4;
    /** Bytes of a word of a bitset. */
    public static final int WORD_BYTES = 8;
    /** Eras in a full block of the era array: 1018. */
    public static final int ERAS_PER_BLOCK = (BlockDevice.BLOCK_BYTES - VALUES) / ERA_BYTES;
    /** 64-bit words in a full block of a bitset: 509. */
    public static final int WORDS_PER_BLOCK = (BlockDevice.BLOCK_BYTES - VALUES) / WORD_BYTES;

    /** Values that fit in a block. */
    public static int maxEntries(int valueSize) {
        return (BlockDevice.BLOCK_BYTES - VALUES) / valueSize;
    }

    /** Looks at the block at {@code offset}; returns this. */
    public ArrayBlock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    /** Makes the block an empty array block. The rest of its bytes stay as they are. */
    public ArrayBlock format(ByteBuffer buffer, int offset, int valueSize) {
        view(buffer, offset);
        buffer.putInt(base + MAX_ENTRIES, maxEntries(valueSize));
        buffer.putInt(base + NR_ENTRIES, 0);
        buffer.putInt(base + VALUE_SIZE, valueSize);
        return this;
    }

    public int maxEntries() {
        return buffer.getInt(base + MAX_ENTRIES);
    }

    public int nrEntries() {
        return buffer.getInt(base + NR_ENTRIES);
    }

    public ArrayBlock nrEntries(int n) {
        buffer.putInt(base + NR_ENTRIES, n);
        return this;
    }

    public int valueSize() {
        return buffer.getInt(base + VALUE_SIZE);
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** Whether the header is that of a block of {@code valueSize}-byte values with no more entries than fit. */
    public boolean hasSaneShape(int valueSize) {
        return valueSize() == valueSize
                && maxEntries() == maxEntries(valueSize)
                && nrEntries() >= 0
                && nrEntries() <= maxEntries();
    }

    /** Value {@code index} of a block of u32 values. */
    public int valueInt(int index) {
        return buffer.getInt(base + VALUES + 4 * index);
    }

    public ArrayBlock valueInt(int index, int value) {
        buffer.putInt(base + VALUES + 4 * index, value);
        return this;
    }

    /** Value {@code index} of a block of u64 values. */
    public long valueLong(int index) {
        return buffer.getLong(base + VALUES + 8 * index);
    }

    public ArrayBlock valueLong(int index, long value) {
        buffer.putLong(base + VALUES + 8 * index, value);
        return this;
    }
}
