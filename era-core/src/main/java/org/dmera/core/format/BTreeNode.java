// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/**
 * A btree node: a header, then room for {@code max_entries} keys, then room for {@code max_entries} values. Little-endian;
 * source: {@code struct node_header} in {@code dm-btree-internal.h}.
 *
 * <pre>
 *   0  u32  csum         see {@link Flyweight}, salt 121107
 *   4  u32  FLAGS        1 internal, 2 leaf
 *   8  u64  BLOCK_NR     the block's own number
 *  16  u32  NR_ENTRIES   entries in use, from the first on
 *  20  u32  MAX_ENTRIES  a multiple of 3: 252 for values of 8 bytes, 201 for 12, 336 for 4
 *  24  u32  VALUE_SIZE   bytes of a value
 *  28  u32  PADDING
 *  32  u64  KEYS         max_entries keys, unsigned, strictly ascending
 *  32 + 8 × max_entries  values, packed
 * </pre>
 *
 * <p>The values of an internal node are the child blocks (u64), and key i is the lowest key that may be below child i.
 *
 * <p>Where values begin follows from max_entries as stored: check {@link #hasSaneShape} before touching entries of a
 * node that comes from outside.
 *
 * <p>Worked example: block 8 of the kernel-made image {@code a_fresh_bs128.clean}, the root and only node of an era array of
 * three blocks. Values begin at byte 32 + 8 × 252 = 2048. {@link WritesetValue} has a leaf with values of 12 bytes.
 *
 * <pre>
 *     0  51 2d e5 14 02 00 00 00 08 00 00 00 00 00 00 00
 *    16  03 00 00 00 fc 00 00 00 08 00 00 00 00 00 00 00
 *    32  00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00
 *    48  02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
 *  2048  06 00 00 00 00 00 00 00 09 00 00 00 00 00 00 00
 *  2064  0a 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
 *
 *  checksum() = 0x14e52d51   flags() = 2   blockNr() = 8
 *  nrEntries() = 3   maxEntries() = 252   valueSize() = 8
 *  key(0) = 0   key(1) = 1   key(2) = 2
 *  valueOffset(0) = 2048   valueLong(0) = 6   valueLong(1) = 9   valueLong(2) = 10
 *  lowerBound(1) = 1   lowerBound(7) = 2
 * </pre>
 */
public final class BTreeNode extends Flyweight {
    /** The flag of a node whose values are its children. */
    public static final int FLAG_INTERNAL = 1;
    /** The flag of a node whose values are the tree's. */
    public static final int FLAG_LEAF = 2;

    /** Offset of the flags (u32). */
    public static final int FLAGS = 4;
    /** Offset of the block's own number (u64). */
    public static final int BLOCK_NR = 8;
    /** Offset of how many entries there are (u32). */
    public static final int NR_ENTRIES = 16;
    /** Offset of how many entries fit (u32). */
    public static final int MAX_ENTRIES = 20;
    /** Offset of the bytes that a value has (u32). */
    public static final int VALUE_SIZE = 24;
    /** Offset of four bytes that are not used. */
    public static final int PADDING = 28;
    /** Offset of the first key (u64). */
    public static final int KEYS = 32;

    /** Bytes of a child pointer, and of an array's entry for one of its blocks. */
    public static final int BLOCK_VALUE_BYTES = 8;

    private int values;

    /**
     * {@return how many entries fit in a node: a multiple of three}
     *
     * @param valueSize bytes of a value, at least 1
     */
    public static int maxEntries(int valueSize) {
        return 3 * ((BlockDevice.BLOCK_BYTES - KEYS) / (8 + valueSize) / 3);
    }

    /**
     * Looks at a block.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @return this
     */
    public BTreeNode wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        values = base + KEYS + 8 * buffer.getInt(base + MAX_ENTRIES);
        return this;
    }

    /**
     * Makes the block an empty node. Its number, its checksum and the rest of its bytes stay as they are.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @param internal whether its values are children
     * @param valueSize bytes of a value: {@link #BLOCK_VALUE_BYTES} in an internal node
     * @return this
     */
    public BTreeNode format(ByteBuffer buffer, int offset, boolean internal, int valueSize) {
        view(buffer, offset);
        buffer.putInt(base + FLAGS, internal ? FLAG_INTERNAL : FLAG_LEAF);
        buffer.putInt(base + NR_ENTRIES, 0);
        buffer.putInt(base + MAX_ENTRIES, maxEntries(valueSize));
        buffer.putInt(base + VALUE_SIZE, valueSize);
        return wrap(buffer, offset);
    }

    /** {@return the flags: in sound metadata {@link #FLAG_INTERNAL} or {@link #FLAG_LEAF}} */
    public int flags() {
        return buffer.getInt(base + FLAGS);
    }

    /**
     * Stores the flags.
     *
     * @param flags u32
     * @return this
     */
    public BTreeNode flags(int flags) {
        buffer.putInt(base + FLAGS, flags);
        return this;
    }

    /** {@return whether the node has {@link #FLAG_INTERNAL}} */
    public boolean isInternal() {
        return (flags() & FLAG_INTERNAL) != 0;
    }

    /** {@return whether the node has {@link #FLAG_LEAF}} */
    public boolean isLeaf() {
        return (flags() & FLAG_LEAF) != 0;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** {@return how many entries there are, as stored (u32)} */
    public int nrEntries() {
        return buffer.getInt(base + NR_ENTRIES);
    }

    /**
     * Stores how many entries there are.
     *
     * @param n 0 to {@link #maxEntries()}
     * @return this
     */
    public BTreeNode nrEntries(int n) {
        buffer.putInt(base + NR_ENTRIES, n);
        return this;
    }

    /** {@return how many entries fit, as stored (u32)} */
    public int maxEntries() {
        return buffer.getInt(base + MAX_ENTRIES);
    }

    /** {@return bytes of a value, as stored (u32)} */
    public int valueSize() {
        return buffer.getInt(base + VALUE_SIZE);
    }

    /**
     * {@return whether the header describes a node that this format can have} That is exactly one of the two flags, values of
     * {@code leafValueSize} bytes in a leaf and 8 in an internal node, the max_entries that belongs to that size, and
     * no more entries than that. Every accessor is in bounds afterwards for indexes below {@link #nrEntries()}.
     *
     * @param leafValueSize bytes of a value of the tree
     */
    public boolean hasSaneShape(int leafValueSize) {
        return HeaderRules.broken(this, leafValueSize) == 0;
    }

    /**
     * {@return the key (u64) of an entry}
     *
     * @param index 0 to {@code maxEntries() − 1}
     */
    public long key(int index) {
        return buffer.getLong(base + KEYS + 8 * index);
    }

    /**
     * Stores the key of an entry.
     *
     * @param index 0 to {@code maxEntries() − 1}
     * @param key u64
     * @return this
     */
    public BTreeNode key(int index, long key) {
        buffer.putLong(base + KEYS + 8 * index, key);
        return this;
    }

    /**
     * {@return where in {@link #buffer()} the value of an entry begins, in bytes}
     *
     * @param index 0 to {@code maxEntries() − 1}
     */
    public int valueOffset(int index) {
        return values + index * valueSize();
    }

    /**
     * {@return an 8-byte value (u64): a child, or an array block}
     *
     * @param index 0 to {@code maxEntries() − 1}
     */
    public long valueLong(int index) {
        return buffer.getLong(values + 8 * index);
    }

    /**
     * {@return the block (u64) to which an entry leads, in a tree that leads to blocks} A writeset's value ends in its root.
     *
     * @param index 0 to {@code maxEntries() − 1}
     */
    public long reference(int index) {
        return buffer.getLong(valueOffset(index) + valueSize() - Long.BYTES);
    }

    /**
     * Stores an 8-byte value.
     *
     * @param index 0 to {@code maxEntries() − 1}
     * @param value u64
     * @return this
     */
    public BTreeNode valueLong(int index, long value) {
        buffer.putLong(values + 8 * index, value);
        return this;
    }

    /**
     * {@return a 4-byte value (u32): a reference count}
     *
     * @param index 0 to {@code maxEntries() − 1}
     */
    public int valueInt(int index) {
        return buffer.getInt(values + 4 * index);
    }

    /**
     * Stores a 4-byte value.
     *
     * @param index 0 to {@code maxEntries() − 1}
     * @param value u32
     * @return this
     */
    public BTreeNode valueInt(int index, int value) {
        buffer.putInt(values + 4 * index, value);
        return this;
    }

    /**
     * {@return the last entry whose key is ≤ {@code key} (unsigned), or −1 when there is none} Keys must ascend.
     *
     * @param key u64
     */
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
