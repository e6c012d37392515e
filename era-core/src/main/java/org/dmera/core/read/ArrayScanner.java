// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamagedMetadataException;

/**
 * Reads an array (the era array, or the words of a bitset) from its first value to its last. Array blocks that lie one
 * after the other on the device, as both the kernel and our restore lay them out, are read together.
 *
 * <p>One instance serves any number of scans, one at a time; its memory is a buffer of 1 MiB and a few nodes.
 */
public final class ArrayScanner {
    private static final int RUN_BLOCKS = 256;

    /** Receives the values of an array, one block at a time. */
    public interface ValueVisitor {
        /**
         * Values {@code firstIndex} to {@code firstIndex + count − 1}, little-endian, packed, from {@code offset} in
         * {@code buffer}; valid during the call.
         */
        void values(long firstIndex, ByteBuffer buffer, int offset, int count) throws IOException;
    }

    private final BlockReader reader;
    private final TreeWalker walker;
    private final ArrayBlock block = new ArrayBlock();
    private final Leaves leaves = new Leaves();
    private ByteBuffer run;

    private long from;
    private long nrEntries;
    /** What the whole array should have; the highest number when nobody knows. */
    private long arrayEntries;

    private int valueSize;
    private String structure;
    private ValueVisitor visitor;
    private long nextBlock;
    private long blocks;

    public ArrayScanner(BlockReader reader) {
        this.reader = reader;
        this.walker = new TreeWalker(reader);
    }

    /**
     * Visits the first {@code nrEntries} values of the array under {@code root}. Blocks past those are not looked at.
     *
     * @param valueSize bytes of a value: 4 or 8
     * @param structure what the array is, for messages: {@code era array}
     * @throws DamagedMetadataException when it isn't an array of that many values
     */
    public void scan(long root, long nrEntries, int valueSize, String structure, ValueVisitor visitor)
            throws IOException {
        scan(root, 0, nrEntries, valueSize, structure, visitor);
    }

    /** As {@link #scan(long, long, int, String, ValueVisitor)}, from value {@code from} on. */
    public void scan(long root, long from, long nrEntries, int valueSize, String structure, ValueVisitor visitor)
            throws IOException {
        arrayEntries = Long.MAX_VALUE;
        scanPart(root, from, nrEntries, valueSize, structure, visitor);
    }

    /**
     * Visits the values of the era array for origin blocks {@code from} to {@code to − 1}.
     *
     * @throws DamagedMetadataException also when the array goes on past the origin's last block, as far as that shows in what
     *     is read: nr_blocks may be the one that is wrong, and the marks of the rest would be missed
     */
    public void scanEras(MetadataRoots roots, long from, long to, ValueVisitor visitor) throws IOException {
        arrayEntries = roots.nrBlocks();
        scanPart(roots.eraArrayRoot(), from, to, ArrayBlock.ERA_BYTES, "era array", visitor);
    }

    private void scanPart(long root, long from, long nrEntries, int valueSize, String structure, ValueVisitor visitor)
            throws IOException {
        if (nrEntries <= from) {
            return;
        }
        this.from = from;
        this.nrEntries = nrEntries;
        this.valueSize = valueSize;
        this.structure = structure;
        this.visitor = visitor;
        int perBlock = ArrayBlock.maxEntries(valueSize);
        nextBlock = from / perBlock;
        blocks = (nrEntries + perBlock - 1) / perBlock;
        walker.walkFrom(root, nextBlock, BTreeNode.BLOCK_VALUE_BYTES, structure, leaves);
        if (nextBlock < blocks) {
            throw new DamagedMetadataException(
                    root,
                    structure + ": the array under btree node " + root + " ends after " + nextBlock
                            + " array blocks, expected " + blocks + " for " + nrEntries + " values");
        }
    }

    private boolean leaf(BTreeNode leaf) throws IOException {
        // Entries of the first leaf may lie before the first block that is wanted; only there can they be lower.
        int at = nextBlock == 0 ? 0 : leaf.lowerBound(nextBlock - 1) + 1;
        int count = (int) Math.min(leaf.nrEntries(), at + blocks - nextBlock);
        while (at < count) {
            int end = at;
            long first = leaf.valueLong(at);
            do {
                if (leaf.key(end) != nextBlock + (end - at)) {
                    throw missing(leaf, end, nextBlock + (end - at));
                }
                end++;
            } while (end < count && end - at < RUN_BLOCKS && leaf.valueLong(end) == first + (end - at));
            readRun(first, end - at);
            at = end;
        }
        if (nextBlock == blocks && at < leaf.nrEntries() && nrEntries == arrayEntries) {
            requireLeftOver(leaf, at);
        }
        return nextBlock < blocks;
    }

    /** Behind the end of an array there may be a block that is not full: the kernel leaves it when it shrinks an array. */
    private void requireLeftOver(BTreeNode leaf, int entry) throws IOException {
        long blockNr = leaf.valueLong(entry);
        reader.read(BlockType.ARRAY_BLOCK, blockNr, 1, run, structure);
        block.wrap(run, 0);
        if (block.hasSaneShape(valueSize) && block.nrEntries() == ArrayBlock.maxEntries(valueSize)) {
            throw new DamagedMetadataException(
                    blockNr,
                    structure + ": array block " + blockNr + " (index " + Long.toUnsignedString(leaf.key(entry))
                            + ") lies behind the last of " + arrayEntries + " values");
        }
    }

    private DamagedMetadataException missing(BTreeNode leaf, int entry, long expected) {
        return new DamagedMetadataException(
                leaf.blockNr(),
                structure + ": btree node " + leaf.blockNr() + ": entry " + entry + " is for array block "
                        + Long.toUnsignedString(leaf.key(entry)) + ", expected " + expected);
    }

    private void readRun(long first, int count) throws IOException {
        if (run == null) {
            // Most arrays of a small device are one block: only a longer one is worth the large buffer.
            run = BlockReader.newBuffer(blocks == 1 ? 1 : (int) Math.min(RUN_BLOCKS, blocks));
        } else if (run.capacity() < count * BlockDevice.BLOCK_BYTES) {
            run = BlockReader.newBuffer(RUN_BLOCKS);
        }
        reader.read(BlockType.ARRAY_BLOCK, first, count, run, structure);
        int perBlock = ArrayBlock.maxEntries(valueSize);
        for (int i = 0; i < count; i++) {
            int offset = i * BlockDevice.BLOCK_BYTES;
            long blockIndex = nextBlock * perBlock;
            int values = (int) Math.min(perBlock, nrEntries - blockIndex);
            block.wrap(run, offset);
            if (!block.hasSaneShape(valueSize) || block.nrEntries() < values) {
                throw impossible(first + i, values);
            }
            if (block.nrEntries() > arrayEntries - blockIndex) {
                throw new DamagedMetadataException(
                        first + i,
                        structure + ": array block " + (first + i) + " (index " + nextBlock + ") has "
                                + block.nrEntries() + " values, expected " + (arrayEntries - blockIndex)
                                + ", the last of " + arrayEntries);
            }
            int skip = (int) Math.max(0, from - blockIndex);
            visitor.values(blockIndex + skip, run, offset + ArrayBlock.VALUES + skip * valueSize, values - skip);
            nextBlock++;
        }
    }

    private DamagedMetadataException impossible(long blockNr, int values) {
        return new DamagedMetadataException(
                blockNr,
                structure + ": array block " + blockNr + " (index " + nextBlock
                        + ") has an impossible header: value_size "
                        + Integer.toUnsignedString(block.valueSize()) + ", nr_entries "
                        + Integer.toUnsignedString(block.nrEntries()) + ", max_entries "
                        + Integer.toUnsignedString(block.maxEntries()) + "; expected value_size " + valueSize
                        + ", at least " + values + " entries, at most " + ArrayBlock.maxEntries(valueSize));
    }

    /** A class, not a lambda: the first lambda of a process costs it 10 ms. */
    private final class Leaves implements TreeWalker.LeafVisitor {
        @Override
        public boolean leaf(BTreeNode leaf) throws IOException {
            return ArrayScanner.this.leaf(leaf);
        }
    }
}
