// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/**
 * A btree node: a header of 32 bytes, then {@code max_entries} u64 keys, then {@code max_entries} values.
 *
 * <p>Header (little-endian; source: the kernel's persistent-data library): u32 checksum, u32 flags (1 internal, 2 leaf),
 * u64 own number, u32 nr_entries, u32 max_entries, u32 value_size, u32 padding. Keys ascend strictly. The values of an
 * internal node are child block numbers, and key i is the lowest key below child i.
 *
 * <p>Where values begin follows from max_entries as stored: check {@link #hasSaneShape} before touching entries of a
 * node that comes from outside.
 */
public final class BTreeNode extends Flyweight {
    public static final int FLAG_INTERNAL = 1;
    public static final int FLAG_LEAF = 2;

    public static final int FLAGS = 4;
    public static final int BLOCK_NR = 8;
    public static final int NR_ENTRIES = 16;
    public static final int MAX_ENTRIES = 20;
    public static final int VALUE_SIZE = 24;
    public static final int PADDING = 28;
    public static final int KEYS = 32;

    /** Bytes of a child pointer, and of an array's entry for one of its blocks. */
    public static final int BLOCK_VALUE_BYTES = 8;

    private int values;

    /** Entries that fit in a node whose values have {@code valueSize} bytes: a multiple of three. */
    public static int maxEntries(int valueSize) {
        return 3 * ((BlockDevice.BLOCK_BYTES - KEYS) / (8 + valueSize) / 3);
    }

    /** Looks at the block at {@code offset}; returns this. */
    public BTreeNode wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        values = base + KEYS + 8 * buffer.getInt(base + MAX_ENTRIES);
        return this;
    }

    /** Makes the block an empty node. The rest of its bytes stay as they are. */
    public BTreeNode format(ByteBuffer buffer, int offset, boolean internal, int valueSize) {
        view(buffer, offset);
        buffer.putInt(base + FLAGS, internal ? FLAG_INTERNAL : FLAG_LEAF);
        buffer.putInt(base + NR_ENTRIES, 0);
        buffer.putInt(base + MAX_ENTRIES, maxEntries(valueSize));
        buffer.putInt(base + VALUE_SIZE, valueSize);
        return wrap(buffer, offset);
    }

    public int flags() {
        return buffer.getInt(base + FLAGS);
    }

    public BTreeNode flags(int flags) {
        buffer.putInt(base + FLAGS, flags);
        return this;
    }

    public boolean isInternal() {
        return (flags() & FLAG_INTERNAL) != 0;
    }

    public boolean isLeaf() {
        return (flags() & FLAG_LEAF) != 0;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    public int nrEntries() {
        return buffer.getInt(base + NR_ENTRIES);
    }

    public BTreeNode nrEntries(int n) {
        buffer.putInt(base + NR_ENTRIES, n);
        return this;
    }

    public int maxEntries() {
        return buffer.getInt(base + MAX_ENTRIES);
    }

    public int valueSize() {
        return buffer.getInt(base + VALUE_SIZE);
    }

    /**
     * Whether the header describes a node that this format can have: exactly one of the two flags, values of
     * {@code leafValueSize} bytes in a leaf and 8 in an internal node, the max_entries that belongs to that size, and
     * no more entries than that. Every accessor is in bounds afterwards for indexes below {@link #nrEntries}.
     */
    public boolean hasSaneShape(int leafValueSize) {
        int flags = flags();
        if (flags != FLAG_INTERNAL && flags != FLAG_LEAF) {
            return false;
        }
        int size = valueSize();
        if (size != (flags == FLAG_LEAF ? leafValueSize : BLOCK_VALUE_BYTES)) {
            return false;
        }
        return maxEntries() == maxEntries(size) && nrEntries() >= 0 && nrEntries() <= maxEntries();
    }

    public long key(int index) {
        return buffer.getLong(base + KEYS + 8 * index);
    }

    public BTreeNode key(int index, long key) {
        buffer.putLong(base + KEYS + 8 * index, key);
        return this;
    }

    /** Where in {@link #buffer()} the value of an entry begins. */
    public int valueOffset(int index) {
        return values + index * valueSize();
    }

    /** An 8-byte value: a child, or an array block. */
    public long valueLong(int index) {
        return buffer.getLong(values + 8 * index);
    }

    public BTreeNode valueLong(int index, long value) {
        buffer.putLong(values + 8 * index, value);
        return this;
    }

    /** A 4-byte value (u32): a reference count. */
    public int valueInt(int index) {
        return buffer.getInt(values + 4 * index);
    }

    public BTreeNode valueInt(int index, int value) {
        buffer.putInt(values + 4 * index, value);
        return this;
    }

    /** The last entry whose key is ≤ {@code key} (unsigned), or −1 when there is none. Entries must be sorted. */
    public int lowerBound(long key) {
        int lo = -1;
        int hi = nrEntries();
        while (hi - lo > 1) {
            int mid = (lo + hi) >>> 1;
            if (Long.compareUnsigned(key(mid), key) <= 0) {
                lo = mid;
            } else {
                hi = mid;
            }
        }
        return lo;
    }
}
