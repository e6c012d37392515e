// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;
import org.dmera.core.read.BlockSource;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.Problem;
import org.dmera.core.read.TreeWalker;

/**
 * The blocks of a device, what is known of each of them, and the log of what is wrong: all that a walk of the check needs.
 * Not thread-safe.
 */
public final class BlockReader {
    private final BlockSource source;
    private final BlockUse table;
    private final DamageLog log;
    private final BlockVerdict verdict;
    private final ByteBuffer spare = newBuffer();
    private boolean readsArrays = true;
    private final ByteBuffer[] treeBuffers = TreeWalker.newBuffers();
    private final ByteBuffer[] arrayBuffers = TreeWalker.newBuffers();

    public BlockReader(BlockDevice device, BlockUse table, DamageLog log, BlockVerdict verdict) {
        this.source = new BlockSource(device);
        this.table = table;
        this.log = log;
        this.verdict = verdict;
    }

    /** Of blocks whose damage is reported elsewhere, or isn't any. */
    public static BlockReader quiet(BlockDevice device, BlockUse table) {
        return new BlockReader(device, table, new DamageLog(), new BlockVerdict(-1));
    }

    /** The same for walks that read nodes alone, and take array blocks for what they should be. */
    public BlockReader ofNodes() {
        readsArrays = false;
        return this;
    }

    /** Whether array blocks are looked at. */
    public boolean readsArrays() {
        return readsArrays;
    }

    public static ByteBuffer newBuffer() {
        return ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    BlockSource source() {
        return source;
    }

    /** Room for the nodes of one walk of a tree at a time. */
    ByteBuffer[] treeBuffers() {
        return treeBuffers;
    }

    /** Room for the nodes of one walk of an array at a time, which may run inside that of a tree. */
    ByteBuffer[] arrayBuffers() {
        return arrayBuffers;
    }

    public BlockUse table() {
        return table;
    }

    public DamageLog log() {
        return log;
    }

    /** What the block is; looks at the device when the pass over it has left the block out. */
    public short verdict(long blockNr) {
        short known = table.verdict(blockNr);
        if (known == BlockVerdict.UNREAD) {
            known = tryRead(blockNr, spare) == null ? verdict.classify(spare, 0, blockNr) : BlockVerdict.UNREADABLE;
            table.verdict(blockNr, known);
        }
        return known;
    }

    /** Reads a node of any tree into {@code block}; returns null when the block isn't one, or can't be used. */
    public BTreeNode node(long blockNr, ByteBuffer block) {
        boolean isThere = table.isUsable(blockNr)
                && !table.isOutdated(blockNr)
                && code(blockNr) == BlockVerdict.NODE
                && tryRead(blockNr, block) == null;
        return isThere ? new BTreeNode().wrap(block, 0) : null;
    }

    /** The {@link BlockVerdict} code of the block. */
    public int code(long blockNr) {
        return BlockVerdict.code(verdict(blockNr));
    }

    /**
     * Reads a block without looking at its seal; returns null, or the device's failure.
     *
     * @throws UncheckedIOException when the reader was interrupted, which says nothing about the device
     */
    public IOException tryRead(long blockNr, ByteBuffer buffer) {
        try {
            return source.tryRead(blockNr, buffer);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Reads a block that should be a {@code type}; when it is not, reports that and returns false.
     *
     * @param where names the place in the report
     */
    public boolean read(long blockNr, ByteBuffer buffer, BlockType type, DamageLocation where) {
        Problem problem = problem(blockNr, buffer, type);
        return problem == null || report(problem, where);
    }

    /** Reads a block that should be a {@code type}; returns null, or what is wrong with it. */
    Problem problem(long blockNr, ByteBuffer buffer, BlockType type) {
        try {
            return source.read(blockNr, buffer, type);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Whether bits are set past the last of a bitset's {@code nrBits} in its array block {@code index}, which is {@code
     * blockNr} and has {@code usable} words.
     */
    public boolean hasBitsPastEnd(long nrBits, long index, long blockNr, int usable) {
        long word = nrBits / Long.SIZE - index * ArrayBlock.WORDS_PER_BLOCK;
        return nrBits % Long.SIZE != 0
                && word >= 0
                && word < usable
                && tryRead(blockNr, spare) == null
                && new ArrayBlock().wrap(spare, 0).valueLong((int) word) >>> nrBits != 0;
    }

    /** The kind of block whose checksum fits, or null. */
    public BlockType identify(ByteBuffer buffer) {
        return source.identify(buffer);
    }

    /** Reads a block into {@code buffer}; returns the number that it has for itself, 0 when it has none. */
    public long claimedBlockNr(long blockNr, ByteBuffer buffer) {
        BlockType type = table.isUsable(blockNr) && tryRead(blockNr, buffer) == null ? identify(buffer) : null;
        return type == null ? 0 : buffer.getLong(type.blockNrOffset());
    }

    /** Reports a broken rule; returns false. */
    public boolean report(Problem problem, DamageLocation where) {
        return report(problem.kind(), where, problem.blockNr(), problem.detail());
    }

    /** Reports damage of one block, once a block; returns false. */
    public boolean report(DamageKind kind, DamageLocation where, long blockNr, String detail) {
        boolean usable = blockNr >= 0 && blockNr < table.size();
        if (!usable || !table.hasMark(blockNr, BlockUse.REPORTED)) {
            log.add(kind, where, blockNr, detail);
        }
        if (usable && kind.severity() != Severity.NOTE) {
            table.mark(blockNr, BlockUse.REPORTED);
        }
        return false;
    }
}
