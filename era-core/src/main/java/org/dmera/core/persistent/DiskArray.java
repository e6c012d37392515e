// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.format.HeaderRules;

/**
 * An array of fixed-size values: a btree that maps 0, 1, 2 … to array blocks, each full but the last.
 *
 * <p>Setting a value shadows its array block. When that moves it, the btree's entry is overwritten, and the overwrite
 * releases the old block; since shadowing has released it already, it gains one reference before. What is cut off at the
 * end of an array block stays there as stale bytes.
 */
public final class DiskArray {
    private final TransactionManager tm;
    private final BTree blocks;
    private final String label;
    private final int valueSizeBytes;
    private final int perBlock;

    /** The array at {@code root} (0: none yet) with values of 4 or 8 bytes. Nothing is read. */
    public DiskArray(TransactionManager tm, int valueSizeBytes, String label, long root) {
        this.tm = tm;
        this.label = label;
        this.valueSizeBytes = valueSizeBytes;
        this.perBlock = ArrayBlock.maxEntries(valueSizeBytes);
        this.blocks = new BTree(tm, new BlockReference(tm, label), root);
    }

    /** Root of the btree. It moves when the array is changed. */
    public long root() {
        return blocks.root();
    }

    /** Points this at another array of the same kind. */
    public void root(long root) {
        blocks.root(root);
    }

    /** Makes a new array without entries. */
    public void create() throws IOException {
        blocks.create();
    }

    /** Drops one reference to the array at {@code root}, and with the last one its blocks. */
    public void delete(long root) throws IOException {
        blocks.delete(root);
    }

    /** Grows or shrinks from {@code oldSize} entries to {@code newSize}; new entries have {@code initialValue}. */
    public void resize(long oldSize, long newSize, long initialValue) throws IOException {
        if (newSize > oldSize) {
            grow(oldSize, newSize, initialValue);
        } else if (newSize < oldSize) {
            shrink(oldSize, newSize);
        }
    }

    private void grow(long oldSize, long newSize, long initialValue) throws IOException {
        long oldFull = oldSize / perBlock;
        long newFull = newSize / perBlock;
        int newTail = (int) (newSize % perBlock);
        long next = oldFull;
        if (oldSize % perBlock > 0) {
            CachedBlock tail = shadowBlock(oldFull);
            fill(tail, newFull > oldFull ? perBlock : newTail, initialValue);
            next++;
        }
        for (; next < newFull; next++) {
            addBlock(next, perBlock, initialValue);
        }
        if (next == newFull && newTail > 0) {
            addBlock(newFull, newTail, initialValue);
        }
    }

    private void addBlock(long blockIndex, int entries, long initialValue) throws IOException {
        tm.trim();
        CachedBlock block = tm.newBlock(BlockType.ARRAY_BLOCK);
        new ArrayBlock().format(block.data, 0, valueSizeBytes);
        fill(block, entries, initialValue);
        blocks.insertLong(blockIndex, block.number);
    }

    private void fill(CachedBlock block, int entries, long value) {
        ArrayBlock array = block.array();
        for (int i = array.nrEntries(); i < entries; i++) {
            if (valueSizeBytes == ArrayBlock.ERA_BYTES) {
                array.valueInt(i, (int) value);
            } else {
                array.valueLong(i, value);
            }
        }
        array.nrEntries(entries);
    }

    /**
     * When the number of full blocks stays the same, no block goes, not even the partial one after the last full one:
     * the kernel leaves it in the tree, and a later grow inserts over it.
     */
    private void shrink(long oldSize, long newSize) throws IOException {
        long newFull = newSize / perBlock;
        int newTail = (int) (newSize % perBlock);
        if (newFull < oldSize / perBlock) {
            long end = (oldSize + perBlock - 1) / perBlock;
            for (long i = (newSize + perBlock - 1) / perBlock; i < end; i++) {
                tm.trim();
                blocks.remove(i);
            }
        }
        if (newTail > 0) {
            shadowBlock(newFull).array().nrEntries(newTail);
        }
    }

    /** A u64 entry. */
    public long getLong(long index) throws IOException {
        return readBlock(index).array().valueLong((int) (index % perBlock));
    }

    /** A u32 entry. */
    public int getInt(long index) throws IOException {
        return readBlock(index).array().valueInt((int) (index % perBlock));
    }

    /** Sets a u64 entry. */
    public void setLong(long index, long value) throws IOException {
        CachedBlock block = shadowBlock(index / perBlock);
        requireEntry(block, index);
        block.array().valueLong((int) (index % perBlock), value);
    }

    /**
     * Raises the eras (u32) at the first {@code count} of {@code indexes}, which ascend, to {@code value}; higher ones stay.
     */
    public void raiseEras(int[] indexes, int count, int value) throws IOException {
        for (int i = 0; i < count; ) {
            int blockIndex = indexes[i] / perBlock;
            CachedBlock block = shadowBlock(blockIndex);
            ArrayBlock array = block.array();
            for (; i < count && indexes[i] / perBlock == blockIndex; i++) {
                requireEntry(block, indexes[i]);
                int entry = indexes[i] % perBlock;
                array.valueInt(entry, Eras.later(array.valueInt(entry), value));
            }
        }
    }

    /** Copies {@code count} u32 entries from {@code first} on into {@code out}, from {@code at} on. */
    public void readInts(long first, int count, int[] out, int at) throws IOException {
        long index = first;
        int to = at;
        while (to < at + count) {
            CachedBlock block = readBlock(index);
            ArrayBlock array = block.array();
            int entry = (int) (index % perBlock);
            int run = Math.min(array.nrEntries() - entry, at + count - to);
            array.valuesInt(entry, out, to, run);
            to += run;
            index += run;
        }
    }

    /** Copies {@code count} u64 entries from {@code first} on into {@code out}, from {@code at} on. */
    public void readLongs(long first, int count, long[] out, int at) throws IOException {
        long index = first;
        int to = at;
        while (to < at + count) {
            CachedBlock block = readBlock(index);
            ArrayBlock array = block.array();
            int entry = (int) (index % perBlock);
            int run = Math.min(array.nrEntries() - entry, at + count - to);
            for (int i = 0; i < run; i++) {
                out[to + i] = array.valueLong(entry + i);
            }
            to += run;
            index += run;
        }
    }

    private CachedBlock readBlock(long index) throws IOException {
        CachedBlock block = checked(tm.read(blocks.lookupLong(index / perBlock), BlockType.ARRAY_BLOCK));
        requireEntry(block, index);
        return block;
    }

    private CachedBlock shadowBlock(long blockIndex) throws IOException {
        long number = blocks.lookupLong(blockIndex);
        CachedBlock block = checked(tm.shadow(number, BlockType.ARRAY_BLOCK, copy -> {}));
        if (block.number != number) {
            tm.spaceMap().add(number);
            blocks.insertLong(blockIndex, block.number);
        }
        return block;
    }

    private CachedBlock checked(CachedBlock block) throws DamagedMetadataException {
        if (block.shapeCheckedFor != valueSizeBytes) {
            ArrayBlock array = block.array();
            if (!array.hasSaneShape(valueSizeBytes)) {
                throw DamagedMetadataException.inBlock(
                        DamageKind.BAD_HEADER,
                        block.number,
                        "block of the " + label,
                        HeaderRules.message(HeaderRules.problems(array, valueSizeBytes)));
            }
            block.shapeCheckedFor = valueSizeBytes;
        }
        return block;
    }

    private void requireEntry(CachedBlock block, long index) throws DamagedMetadataException {
        if (index % perBlock >= block.array().nrEntries()) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.ARRAY_BLOCK_SHORT,
                    block.number,
                    "block of the " + label,
                    "it ends after " + block.array().nrEntries() + " entries; entry " + index
                            + " of the array should be number " + index % perBlock);
        }
    }

    /** An entry of the btree refers to one array block, whose values refer to nothing. */
    private record BlockReference(TransactionManager tm, String label) implements ValueType {
        @Override
        public int sizeBytes() {
            return 8;
        }

        @Override
        public void addReference(ByteBuffer leaf, int offset) throws IOException {
            tm.spaceMap().add(leaf.getLong(offset));
        }

        @Override
        public void release(ByteBuffer leaf, int offset) throws IOException {
            tm.spaceMap().drop(leaf.getLong(offset));
        }
    }
}
