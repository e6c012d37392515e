// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.StoredCounts;

/**
 * Takes a state of the metadata apart, given which blocks it counts as used: what its roots are, or that it is no longer
 * there.
 *
 * <p>Of the last state every block is as that state wrote it, or broken. A state one of whose sealed blocks contradicts its
 * counts, or another block of it, has been overwritten, and nothing that it leads to is to be believed. These are
 * contradictions: a space map block of another state, a second superblock copy, a reference to a block that is free or of
 * another kind, more references than are counted, no root where there must be one. Leaked blocks are in sound metadata too.
 */
final class StateProbe {
    private enum Kind {
        WRITESETS,
        WORDS,
        ERAS,
        REF_COUNTS,
        /** A leaf of block numbers without any: a bitset or an era array. */
        EMPTY,
        /** What would show it is broken. */
        UNKNOWN,
        /** What no tree of the format is. */
        NONSENSE
    }

    private final BlockReader reader;
    private final BlockUse table;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final ByteBuffer below = BlockReader.newBuffer();
    private final BTreeNode node = new BTreeNode();
    private final BTreeNode child = new BTreeNode();
    /** Internal nodes that don't show what tree they are of: no search enters one twice, whatever leads to it how often. */
    private final BitSet unknown = new BitSet();

    private StoredCounts counts;
    /** The references to each block in this state. */
    private BlockUse found;

    private RootCandidate state;
    private int refCountRoots;
    /** Root of an array without entries, or 0. */
    private long emptyRoot;

    StateProbe(BlockReader reader) {
        this.reader = reader;
        this.table = reader.table();
    }

    /** The state that {@code map} belongs to; null when it has been overwritten. */
    RootCandidate probe(StateMap map) {
        this.counts = map.counts();
        this.state = new RootCandidate(map.indexBlock());
        state.isMapped = true;
        this.found = table.withDoublyUsed();
        refCountRoots = 0;
        emptyRoot = 0;
        BitSet used = counts.used(table.size());
        used.clear(0);
        if (!used.stream().allMatch(b -> visit(b, map)) || !used.stream().allMatch(this::judgeCount)) {
            return null;
        }
        if (state.eraArrays.isEmpty() && !state.hasUnattachedEras && emptyRoot != 0) {
            // Of an origin of no blocks.
            state.eraArrays.add(emptyRoot);
        } else {
            state.isLeaky |= emptyRoot != 0;
        }
        boolean hasRoots = !state.writesetTrees.isEmpty() && !state.eraArrays.isEmpty() && refCountRoots == 1;
        state.hasAllRoots = hasRoots;
        return hasRoots || state.broken > 0 ? state : null;
    }

    private boolean visit(int b, StateMap map) {
        return switch (reader.code(b)) {
            case BlockVerdict.INDEX -> b == map.indexBlock();
            case BlockVerdict.BITMAP -> map.bitmaps().get(b);
            case BlockVerdict.SUPERBLOCK -> visitCopy(b);
            case BlockVerdict.NODE -> visitNode(b);
            case BlockVerdict.ERAS, BlockVerdict.WORDS -> true;
            default -> {
                state.broken++;
                yield true;
            }
        };
    }

    private boolean visitCopy(int b) {
        ByteBuffer copy = BlockReader.newBuffer();
        if (!state.copies.isEmpty() || reader.tryRead(b, copy) != null) {
            return false;
        }
        Superblock sb = new Superblock().wrap(copy, 0);
        state.copies.add(sb);
        return refer(sb.writesetTreeRoot(), BlockVerdict.NODE) && refer(sb.eraArrayRoot(), BlockVerdict.NODE);
    }

    private boolean visitNode(int b) {
        if (reader.tryRead(b, block) != null) {
            state.broken++;
            return true;
        }
        node.wrap(block, 0);
        if (node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES)) {
            return visitValues();
        }
        if (node.hasSaneShape(WritesetValue.BYTES)) {
            for (int i = 0; i < node.nrEntries(); i++) {
                long root = node.reference(i);
                Kind kind = refer(root, BlockVerdict.NODE) ? kindOf(root) : Kind.NONSENSE;
                if (kind != Kind.WORDS && kind != Kind.EMPTY && kind != Kind.UNKNOWN) {
                    return false;
                }
            }
        } else if (!node.hasSaneShape(Integer.BYTES)) {
            state.broken++;
        }
        return true;
    }

    /** The entries of a node with block numbers: all of them lead to nodes, to eras, or to words. */
    private boolean visitValues() {
        int kind = node.isInternal() ? BlockVerdict.NODE : codeBelow(node);
        for (int i = 0; i < node.nrEntries(); i++) {
            if (!refer(node.valueLong(i), kind)) {
                return false;
            }
        }
        return true;
    }

    /** Whether the entries of a leaf with block numbers lead to {@link BlockVerdict#ERAS} or to {@link BlockVerdict#WORDS}. */
    private int codeBelow(BTreeNode leaf) {
        for (int i = 0; i < leaf.nrEntries(); i++) {
            long b = leaf.valueLong(i);
            int code = table.isUsable(b) ? reader.code(b) : BlockVerdict.UNREAD;
            if (code == BlockVerdict.ERAS || code == BlockVerdict.WORDS) {
                return code;
            }
        }
        return BlockVerdict.UNREAD;
    }

    /** Counts a reference; returns whether the block is in use, and of the kind it should be or broken. */
    private boolean refer(long b, int kind) {
        if (!table.isUsable(b) || counts.count((int) b) == 0) {
            return false;
        }
        found.addReference(b);
        int code = reader.code(b);
        return code <= BlockVerdict.MISPLACED || code == BlockVerdict.BAD_ARRAY || code == kind;
    }

    private boolean judgeCount(int b) {
        int stored = counts.count(b);
        int references = found.references(b);
        if (stored == BitmapBlock.SEE_TREE || stored < 0) {
            return true;
        }
        if (references > stored) {
            return false;
        }
        if (references == stored) {
            return true;
        }
        state.isLeaky |= stored - references > 1;
        switch (reader.code(b)) {
            case BlockVerdict.NODE -> addRoot(b);
            case BlockVerdict.ERAS, BlockVerdict.WORDS -> {
                state.unattached.add(b);
                state.hasUnattachedEras |= reader.code(b) == BlockVerdict.ERAS;
            }
            case BlockVerdict.INDEX, BlockVerdict.BITMAP, BlockVerdict.SUPERBLOCK -> {}
            default -> state.unreadable++;
        }
        return true;
    }

    private void addRoot(int b) {
        switch (kindOf(b)) {
            case WRITESETS -> state.writesetTrees.add((long) b);
            case ERAS -> addArray(b, state.eraArrays);
            case WORDS -> addArray(b, state.bitsets);
            case REF_COUNTS -> refCountRoots++;
            case EMPTY -> emptyRoot = b;
            // Its array blocks are broken: a current writeset, say.
            default -> state.strays++;
        }
    }

    private void addArray(long root, List<Long> to) {
        to.add(root);
        state.strays += firstKey(root) == 0 ? 0 : 1;
    }

    private long firstKey(long root) {
        return reader.tryRead(root, below) == null ? child.wrap(below, 0).key(0) : -1;
    }

    /** What tree the node {@code root} is the root of. Leaves {@link #block} alone. */
    Kind kindOf(long root) {
        return kindOf(root, 0);
    }

    /** Whether {@code b} is a node from which a bitset can be read from its beginning. */
    boolean isBitset(long b) {
        return kindOf(b) == Kind.WORDS && firstKey(b) == 0;
    }

    private Kind kindOf(long root, int depth) {
        if (!table.isUsable(root)) {
            return Kind.NONSENSE;
        }
        int code = reader.code(root);
        if (code != BlockVerdict.NODE) {
            return code <= BlockVerdict.MISPLACED ? Kind.UNKNOWN : Kind.NONSENSE;
        }
        if (depth == Limits.MAX_TREE_LEVELS || unknown.get((int) root) || reader.tryRead(root, below) != null) {
            return Kind.UNKNOWN;
        }
        child.wrap(below, 0);
        if (child.isLeaf()) {
            return kindOfLeaf();
        }
        if (!child.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES) || child.nrEntries() == 0) {
            return Kind.UNKNOWN;
        }
        int entries = child.nrEntries();
        Kind kind = Kind.UNKNOWN;
        for (int i = 0; i < entries && kind == Kind.UNKNOWN; i++) {
            if (i > 0) {
                reader.tryRead(root, below);
                child.wrap(below, 0);
            }
            kind = kindOf(child.valueLong(i), depth + 1);
        }
        unknown.set((int) root, kind == Kind.UNKNOWN);
        return kind;
    }

    private Kind kindOfLeaf() {
        if (child.hasSaneShape(WritesetValue.BYTES)) {
            return Kind.WRITESETS;
        }
        if (child.hasSaneShape(Integer.BYTES)) {
            return Kind.REF_COUNTS;
        }
        if (!child.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES)) {
            return Kind.UNKNOWN;
        }
        if (child.nrEntries() == 0) {
            return Kind.EMPTY;
        }
        return switch (codeBelow(child)) {
            case BlockVerdict.ERAS -> Kind.ERAS;
            case BlockVerdict.WORDS -> Kind.WORDS;
            default -> Kind.UNKNOWN;
        };
    }
}
