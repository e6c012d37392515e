// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.HeaderRules;

/**
 * Reads an array (the era array, or the words of a bitset) from its first value to its last, until the first broken rule. Array
 * blocks that lie one after the other on the device, as both the kernel and our restore lay them out, are read together. One
 * instance serves any number of scans, one at a time; its memory is a buffer of 1 MiB and a few nodes.
 */
public final class ArrayScanner implements ArrayWalker.Policy, ArrayWalker.Visitor {
    private static final int RUN_BLOCKS = 256;

    /** Receives the values of an array, one block at a time. */
    public interface ValueVisitor {
        /**
         * Values {@code firstIndex} to {@code firstIndex + count − 1}, little-endian, packed, from {@code offset} in
         * {@code buffer}; valid during the call.
         */
        void values(long firstIndex, ByteBuffer buffer, int offset, int count) throws IOException;
    }

    private final BlockSource source;
    private final ArrayBlock block = new ArrayBlock();
    private final ArrayWalker eras;
    private final ArrayWalker words;
    private ByteBuffer run;
    private long runFirst;
    private int runCount;

    private long from;
    private long to;
    private boolean isLengthKnown;
    private int valueSize;
    private String structure;
    private ValueVisitor visitor;

    /** {@code reading}: shared by all scanners that read parts of the same trees. */
    public ArrayScanner(ReadOnce reading) {
        ByteBuffer[] buffers = TreeWalker.newBuffers();
        this.source = reading.source();
        this.eras = new ArrayWalker(source, reading, this, ArrayBlock.ERA_BYTES, buffers, this);
        this.words = new ArrayWalker(source, reading, this, ArrayBlock.WORD_BYTES, buffers, this);
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
        scanPart(root, 0, nrEntries, -1, valueSize, structure, visitor);
    }

    /**
     * Visits the values of the era array for origin blocks {@code from} to {@code to − 1}.
     *
     * @throws DamagedMetadataException also when the array goes on past the origin's last block, as far as that shows in what
     *     is read: nr_blocks may be the one that is wrong, and the marks of the rest would be missed
     */
    public void scanEras(MetadataRoots roots, long from, long to, ValueVisitor visitor) throws IOException {
        try {
            scanPart(roots.eraArrayRoot(), from, to, roots.nrBlocks(), ArrayBlock.ERA_BYTES, "era array", visitor);
        } catch (DamagedMetadataException e) {
            roots.requireStillHeld(source.device());
            throw e;
        }
    }

    /** {@code entries}: how many the array should have, or −1 for any number. */
    void scanPart(long root, long from, long to, long entries, int valueSize, String structure, ValueVisitor visitor)
            throws IOException {
        // An array that should be empty is looked at: it may be its size that is wrong.
        if (to <= from && (from > 0 || entries != 0)) {
            return;
        }
        this.from = from;
        this.to = to;
        this.isLengthKnown = entries >= 0;
        this.valueSize = valueSize;
        this.structure = structure;
        this.visitor = visitor;
        this.runCount = 0;
        try {
            (valueSize == ArrayBlock.ERA_BYTES ? eras : words).walkPart(root, from, to, entries);
        } catch (DamagedMetadataException e) {
            throw e.on(source.device().name());
        }
    }

    @Override
    public short verdict(BTreeNode leaf, int index) throws IOException {
        long blockNr = leaf.valueLong(index);
        if (blockNr < runFirst || blockNr >= runFirst + runCount) {
            readRun(leaf, index);
        }
        int offset = (int) (blockNr - runFirst) * BlockDevice.BLOCK_BYTES;
        if (source.verify(run, offset, blockNr, BlockType.ARRAY_BLOCK) != null) {
            return BlockVerdict.UNSEALED;
        }
        block.wrap(run, offset);
        return block.hasSaneShape(valueSize)
                ? BlockVerdict.of(
                        valueSize == ArrayBlock.ERA_BYTES ? BlockVerdict.ERAS : BlockVerdict.WORDS, block.nrEntries())
                : BlockVerdict.BAD_ARRAY;
    }

    /** Reads the block of an entry, and those that follow it in the leaf and on the device alike. */
    private void readRun(BTreeNode leaf, int index) throws IOException {
        int perBlock = ArrayBlock.maxEntries(valueSize);
        long blocks = (to + perBlock - 1) / perBlock;
        long first = leaf.valueLong(index);
        long most = Math.min(leaf.nrEntries() - index, Math.min(RUN_BLOCKS, source.sizeBlocks() - first));
        int count = 1;
        while (count < most && leaf.valueLong(index + count) == first + count && leaf.key(index + count) < blocks) {
            count++;
        }
        if (run == null) {
            // Most arrays of a small device are one block: only a longer one is worth the large buffer.
            run = BlockSource.newBuffer((int) Math.max(1, Math.min(RUN_BLOCKS, blocks)));
        } else if (run.capacity() < count * BlockDevice.BLOCK_BYTES) {
            run = BlockSource.newBuffer(RUN_BLOCKS);
        }
        source.readRun(first, count, run);
        runFirst = first;
        runCount = count;
    }

    @Override
    public Problem explain(long blockNr, int code) {
        int offset = (int) (blockNr - runFirst) * BlockDevice.BLOCK_BYTES;
        return code == BlockVerdict.UNSEALED
                ? source.verify(run, offset, blockNr, BlockType.ARRAY_BLOCK)
                : Problem.badHeader(blockNr, HeaderRules.problems(block.wrap(run, offset), valueSize));
    }

    @Override
    public void problem(Problem problem) throws IOException {
        boolean isOfLength = problem.kind() == DamageKind.ARRAY_BLOCK_LONG;
        if (isLengthKnown || !isOfLength) {
            problem.failFast(structure);
        }
    }

    @Override
    public void present(long index, long blockNr, int usable) throws IOException {
        long blockIndex = index * ArrayBlock.maxEntries(valueSize);
        int skip = (int) Math.max(0, from - blockIndex);
        int count = (int) Math.min(usable, to - blockIndex) - skip;
        int offset = (int) (blockNr - runFirst) * BlockDevice.BLOCK_BYTES;
        visitor.values(blockIndex + skip, run, offset + ArrayBlock.VALUES + skip * valueSize, count);
    }
}
