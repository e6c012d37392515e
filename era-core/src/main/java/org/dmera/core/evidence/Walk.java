// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.HeaderRules;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.ArrayWalker;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.Problem;
import org.dmera.core.read.TreeWalker;
import org.dmera.core.read.Visits;

/**
 * A walk of a tree, or of an array, that reports every broken rule and goes on, with what is known of each block already: a node
 * that is damaged costs the keys below it, no more, and the visitor learns of the range.
 *
 * <p>What the tree claims of the blocks goes into the table of all claims. References are counted where the node that holds them
 * is met for the first time; a node that the live trees and the snapshot share is walked for each, but counted once.
 */
public final class Walk implements DamageLocation, Visits, TreeWalker.Listener, ArrayWalker.Policy {
    private static final int ANY_WALK = BlockUse.LIVE | BlockUse.SNAPSHOT | BlockUse.SPACE_MAP;

    /** Receives the leaves of a tree. */
    public interface Visitor {
        /** Entry {@code index} of a leaf; {@code counted} says whether the reference in it has to be counted. */
        void entry(BTreeNode leaf, int index, boolean counted) throws IOException;

        /** The keys from {@code from} to {@code last}, both included (unsigned), can't be had. */
        default void lost(long from, long last) {}
    }

    /** Receives the leaves of a tree of writesets. */
    public interface WritesetVisitor extends Visitor {
        /** The writeset of {@code era}, which has {@code nrBits} bits; {@code root} is that of its bitset. */
        void writeset(long era, long nrBits, long root, boolean counted) throws IOException;

        @Override
        default void entry(BTreeNode leaf, int index, boolean counted) throws IOException {
            int offset = leaf.valueOffset(index);
            long nrBits = WritesetValue.nrBits(leaf.buffer(), offset);
            writeset(leaf.key(index), nrBits, WritesetValue.root(leaf.buffer(), offset), counted);
        }
    }

    private final BlockReader reader;
    private final TreeSpec spec;
    private final BlockUse table;
    private final int misfit;

    /** Of a tree that is no array; else null. */
    private Visitor visitor;

    private TreeWalker tree;
    /** Of an array; else null. */
    private ArrayWalker array;

    private long root;
    private long entries;

    private Walk(BlockReader reader, TreeSpec spec) {
        this.reader = reader;
        this.table = reader.table();
        this.spec = spec;
        this.misfit = switch (spec.valueBytes()) {
            case Long.BYTES -> BlockUse.NO_NODE_OF_8;
            case Integer.BYTES -> BlockUse.NO_NODE_OF_4;
            default -> BlockUse.NO_NODE_OF_12;
        };
    }

    /** Walks the tree of writesets at {@code root}, to which the live superblock leads or may have led. */
    public static void writesets(BlockReader reader, long root, WritesetVisitor visitor) {
        tree(reader, TreeSpec.live(Structure.WRITESET_TREE), root, visitor);
    }

    /**
     * Walks the tree at {@code root}.
     *
     * @throws UncheckedIOException around what the visitor throws
     */
    public static void tree(BlockReader reader, TreeSpec spec, long root, Visitor visitor) {
        Walk walk = new Walk(reader, spec);
        walk.visitor = visitor;
        walk.tree = new TreeWalker(reader.source(), walk, spec.valueBytes(), reader.treeBuffers(), walk);
        try {
            walk.tree.walk(root, 0, true);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Walks the array at {@code root}, which should have {@code entries} entries. */
    public static ArrayWalker.Length array(
            BlockReader reader, TreeSpec spec, long root, long entries, boolean counted, ArrayWalker.Visitor visitor) {
        Walk walk = new Walk(reader, spec);
        walk.root = root;
        walk.entries = entries;
        walk.array = new ArrayWalker(reader.source(), walk, walk, spec.entryBytes(), reader.arrayBuffers(), visitor);
        try {
            return walk.array.walk(root, entries, counted);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Structure structure() {
        return spec.structure();
    }

    @Override
    public String path() {
        return spec.path() + (array != null ? array.path() : tree.path());
    }

    @Override
    public String consequence() {
        return spec.consequence();
    }

    /** A rule is broken: goes into the report. */
    @Override
    public void problem(Problem problem) {
        if (problem.kind() == DamageKind.LEFT_OVER_ARRAY_BLOCK) {
            DamageLocation here = DamageLocation.of(structure(), path(), "the block is left out");
            reader.log().add(problem.kind(), here, problem.blockNr(), problem.detail());
        } else {
            // No block in particular is at fault where some are missing: then the array as a whole is.
            reader.report(problem, problem.blockNr() == Problem.NO_BLOCK ? spec : this);
        }
    }

    @Override
    public boolean leaf(BTreeNode leaf, boolean isFirst) throws IOException {
        for (int i = 0; i < leaf.nrEntries(); i++) {
            visitor.entry(leaf, i, isFirst);
        }
        return true;
    }

    @Override
    public void lost(TreeWalker.Lost lost) {
        lostNode(lost);
        visitor.lost(lost.low(), lost.last());
    }

    /** A node can't be used: for whoever may put it together again. */
    @Override
    public void lostNode(TreeWalker.Lost lost) {
        reader.log().lost(new DamageLog.LostNode(spec, lost));
    }

    @Override
    public short verdict(BTreeNode leaf, int index) {
        long blockNr = leaf.valueLong(index);
        if (!reader.readsArrays()) {
            int perBlock = ArrayBlock.maxEntries(spec.entryBytes());
            long wanted = Math.max(0, Math.min(perBlock, entries - leaf.key(index) * perBlock));
            return BlockVerdict.of(spec.verdictCode(), (int) wanted);
        }
        return table.isOutdated(blockNr) ? BlockVerdict.UNSEALED : reader.verdict(blockNr);
    }

    @Override
    public Problem explain(long blockNr, int code) {
        if (table.isOutdated(blockNr) || table.hasMark(blockNr, BlockUse.REPORTED)) {
            // The latter is reported once, whatever more there is to say of it.
            return MisdirectedWrites.problem(blockNr);
        }
        // Reading it again gives the reason in full.
        ByteBuffer block = BlockReader.newBuffer();
        Problem problem = reader.problem(blockNr, block, BlockType.ARRAY_BLOCK);
        return problem != null
                ? problem
                : Problem.badHeader(blockNr, HeaderRules.problems(new ArrayBlock().wrap(block, 0), spec.entryBytes()));
    }

    /**
     * Whether the leaf leads to a sound block of the other kind of array, and half of its entries or more do so or lie past the
     * end: then what fits is chance.
     */
    @Override
    public boolean isDistrusted(BTreeNode leaf) {
        int other = 0;
        int past = 0;
        int n = leaf.nrEntries();
        Content own = Content.of(spec);
        int perBlock = ArrayBlock.maxEntries(spec.entryBytes());
        long needed = (entries + perBlock - 1) / perBlock;
        for (int i = 0; i < n && reader.readsArrays(); i++) {
            long blockNr = leaf.valueLong(i);
            Content content = table.isUsable(blockNr) ? Content.of(reader.code(blockNr)) : null;
            boolean isOther = content != null && content != own;
            other += isOther ? 1 : 0;
            past += !isOther && entries > 0 && Long.compareUnsigned(leaf.key(i), needed) >= 0 ? 1 : 0;
        }
        return other > 0 && 2 * (other + past) >= n;
    }

    @Override
    public void unreferenced(long index) {
        reader.log().lost(new DamageLog.MissingArrayBlock(spec, root, index));
    }

    @Override
    public Problem refer(long blockNr, boolean counted) {
        if (spec.walk() == BlockUse.SPACE_MAP && table.hasMark(blockNr, BlockUse.LIVE | BlockUse.SNAPSHOT)) {
            // Not counted: the block is the trees', and the space map that names it will be written anew.
            return doublyUsed(blockNr);
        }
        if (counted) {
            table.addReference(blockNr);
        }
        return null;
    }

    @Override
    public Problem enter(long blockNr) {
        if (table.isOutdated(blockNr)) {
            return MisdirectedWrites.problem(blockNr);
        }
        if (table.hasMark(blockNr, misfit)) {
            return Problem.of(DamageKind.BAD_HEADER, blockNr, "no node of this tree");
        }
        if (!table.hasMark(blockNr, spec.walk()) && !isDoublyUsed(blockNr)) {
            return null;
        }
        // Looked at once, however many references there are to it.
        if (!isDoublyUsed(blockNr) && couldBeOurs(blockNr)) {
            table.markDoublyUsed(blockNr);
        } else if (!isDoublyUsed(blockNr)) {
            misfit(blockNr);
        }
        return doublyUsed(blockNr);
    }

    /** Whether a block that is in use elsewhere fits here too, so that nobody knows whose it is. */
    private boolean couldBeOurs(long blockNr) {
        ByteBuffer other = BlockReader.newBuffer();
        return reader.tryRead(blockNr, other) == null
                && new BTreeNode().wrap(other, 0).hasSaneShape(spec.valueBytes());
    }

    @Override
    public boolean isNew(long blockNr) {
        return !table.hasMark(blockNr, ANY_WALK);
    }

    @Override
    public void misfit(long blockNr) {
        table.mark(blockNr, misfit);
    }

    @Override
    public boolean isDoublyUsed(long blockNr) {
        return table.isDoublyUsed(blockNr);
    }

    @Override
    public Problem use(long blockNr, long key) {
        return table.use(blockNr, spec.walk(), spec.place(key)) && !isDoublyUsed(blockNr) ? null : doublyUsed(blockNr);
    }

    private Problem doublyUsed(long blockNr) {
        return Problem.of(DamageKind.DOUBLY_USED, blockNr, table.whyDoubted(blockNr));
    }
}
