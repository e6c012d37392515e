// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Limits;

/**
 * Walks one btree from its root, in key order, and reports every rule that is broken on the way.
 *
 * <p>A node that is damaged costs the keys below it, no more: the visitor is told of the range and the walk goes on.
 * References are counted where the node that holds them is met for the first time; a node that the live trees and the
 * snapshot share is walked for each, but counted once. No walk enters a block twice, which is what keeps a graph made
 * of shared pointers from taking for ever.
 */
final class TreeWalk implements Where {
    /** Receives the leaves. */
    interface Visitor {
        /** Entry {@code index} of a leaf; {@code counted} says whether the reference in it has to be counted. */
        void entry(BTreeNode leaf, int index, boolean counted);

        /** The keys from {@code from} to {@code last}, both included (unsigned), can't be had. */
        void lost(long from, long last);

        /** Of these keys, which are reported as lost next, there may be nothing left anywhere. */
        default void gone(long from, long last) {}
    }

    private static final long LAST_KEY = -1;

    private final BlockReader reader;
    private final BlockTable table;
    private final TreeSpec spec;
    private final Visitor visitor;

    private final ByteBuffer[] buffers;
    private final long[] blocks = new long[Limits.MAX_TREE_LEVELS];
    /** The key of the entry that leads from the node at each depth to the next. */
    private final long[] keys = new long[Limits.MAX_TREE_LEVELS];

    private final int misfit;

    private int depth;
    private int leafDepth = -1;
    private int nodes;

    /** {@code buffers}: from {@link #newBuffers}; walks that don't run inside one another may share them. */
    TreeWalk(BlockReader reader, TreeSpec spec, ByteBuffer[] buffers, Visitor visitor) {
        this.reader = reader;
        this.buffers = buffers;
        this.table = reader.table();
        this.spec = spec;
        this.visitor = visitor;
        this.misfit = spec.valueBytes() == Long.BYTES
                ? BlockTable.NO_NODE_OF_8
                : spec.valueBytes() == Integer.BYTES ? BlockTable.NO_NODE_OF_4 : BlockTable.NO_NODE_OF_12;
    }

    /** Room for one node at each depth, filled as it is needed. */
    static ByteBuffer[] newBuffers() {
        return new ByteBuffer[Limits.MAX_TREE_LEVELS];
    }

    /** Walks the tree at {@code root}; {@code counted} says whether the reference to the root has to be counted. */
    void walk(long root, boolean counted) {
        depth = 0;
        leafDepth = -1;
        visit(root, 0, LAST_KEY, counted);
    }

    /** Nodes that could be read. */
    int nodes() {
        return nodes;
    }

    @Override
    public Structure structure() {
        return spec.structure();
    }

    @Override
    public String path() {
        StringBuilder path = new StringBuilder(spec.path());
        for (int i = 0; i < depth; i++) {
            path.append(" > key ").append(Long.toUnsignedString(keys[i]));
        }
        return path.toString();
    }

    @Override
    public String consequence() {
        return spec.consequence();
    }

    private void visit(long blockNr, long low, long last, boolean counted) {
        if (!canEnter(blockNr, counted)) {
            reader.log().lost(new LostNode(blockNr, spec, low, last, holder(), true));
            lose(low, last);
            return;
        }
        if (buffers[depth] == null) {
            buffers[depth] = BlockReader.newBuffer();
        }
        ByteBuffer buffer = buffers[depth];
        boolean first = !table.hasMark(blockNr, BlockTable.LIVE | BlockTable.SNAPSHOT | BlockTable.SPACE_MAP);
        if (!reader.read(blockNr, buffer, BlockType.BTREE_NODE, this)) {
            table.mark(blockNr, misfit);
            reader.log().lost(new LostNode(blockNr, spec, low, last, holder(), false));
            if (reader.identify(buffer) == BlockType.ARRAY_BLOCK) {
                // Its holder may be a leaf that passes for a node above others.
                visitor.gone(low, last);
            }
            lose(low, last);
            return;
        }
        BTreeNode node = new BTreeNode().wrap(buffer, 0);
        if (!hasFittingHeader(node, blockNr)) {
            // Not marked as met: it may well be another tree's, and this reference the one that is wrong.
            table.mark(blockNr, misfit);
            reader.log().lost(new LostNode(blockNr, spec, low, last, holder(), false));
            lose(low, last);
            return;
        }
        if (!isSound(node, blockNr, low, last)) {
            table.use(blockNr, spec.walk(), spec.place(low));
            reader.log().lost(new LostNode(blockNr, spec, low, last, holder(), false));
            lose(low, last);
            return;
        }
        long place = node.nrEntries() == 0 ? low : node.key(0);
        if (!table.use(blockNr, spec.walk(), spec.place(place))) {
            doublyUsed(blockNr);
            reader.log().lost(new LostNode(blockNr, spec, low, last, holder(), true));
            lose(low, last);
            return;
        }
        nodes++;
        blocks[depth] = blockNr;
        if (first) {
            noteUnderFilled(node, blockNr);
        }
        if (node.isLeaf()) {
            for (int i = 0; i < node.nrEntries(); i++) {
                visitor.entry(node, i, first);
            }
        } else {
            visitChildren(node, last, first);
        }
    }

    private void visitChildren(BTreeNode node, long last, boolean counted) {
        int n = node.nrEntries();
        for (int i = 0; i < n; i++) {
            long key = node.key(i);
            long child = node.valueLong(i);
            keys[depth++] = key;
            visit(child, key, i + 1 < n ? node.key(i + 1) - 1 : last, counted);
            depth--;
        }
    }

    /** Everything that can be said of a reference before the block is read. */
    private boolean canEnter(long blockNr, boolean counted) {
        if (!table.isUsable(blockNr)) {
            return reader.report(
                    DamageKind.OUT_OF_RANGE, this, blockNr, "expected a block from 1 to " + (table.size() - 1));
        }
        if (spec.walk() == BlockTable.SPACE_MAP && table.hasMark(blockNr, BlockTable.LIVE | BlockTable.SNAPSHOT)) {
            // Not counted: the block is the trees', and the space map that names it will be written anew.
            return doublyUsed(blockNr);
        }
        if (counted) {
            table.addReference(blockNr);
        }
        for (int i = 0; i < depth; i++) {
            if (blocks[i] == blockNr) {
                return reader.report(DamageKind.CYCLE, this, blockNr, "the node leads back to itself");
            }
        }
        if (depth == Limits.MAX_TREE_LEVELS) {
            return reader.report(
                    DamageKind.TOO_DEEP, this, blockNr, "the tree is deeper than " + Limits.MAX_TREE_LEVELS + " nodes");
        }
        if (table.hasMark(blockNr, misfit)) {
            return reader.report(DamageKind.BAD_HEADER, this, blockNr, "no node of this tree");
        }
        if (table.hasMark(blockNr, spec.walk() | BlockTable.DOUBLY_USED)) {
            if (couldBeOurs(blockNr)) {
                table.mark(blockNr, BlockTable.DOUBLY_USED);
            }
            return doublyUsed(blockNr);
        }
        return true;
    }

    /** Whether a block that is in use elsewhere fits here too, so that nobody knows whose it is. */
    private boolean couldBeOurs(long blockNr) {
        ByteBuffer other = BlockReader.newBuffer();
        return reader.tryRead(blockNr, other) == null
                && new BTreeNode().wrap(other, 0).hasSaneShape(spec.valueBytes());
    }

    private boolean doublyUsed(long blockNr) {
        return reader.report(DamageKind.DOUBLY_USED, this, blockNr, table.whyDoubted(blockNr));
    }

    private boolean hasFittingHeader(BTreeNode node, long blockNr) {
        return node.hasSaneShape(spec.valueBytes())
                || reader.report(DamageKind.BAD_HEADER, this, blockNr, describeHeader(node));
    }

    private boolean isSound(BTreeNode node, long blockNr, long low, long last) {
        int flags = node.flags();
        int n = node.nrEntries();
        if (n == 0) {
            return depth == 0 && flags == BTreeNode.FLAG_LEAF
                    || reader.report(DamageKind.EMPTY_NODE, this, blockNr, "only an empty tree's root has no entries");
        }
        for (int i = 1; i < n; i++) {
            if (Long.compareUnsigned(node.key(i - 1), node.key(i)) >= 0) {
                return reader.report(
                        DamageKind.KEYS_UNSORTED,
                        this,
                        blockNr,
                        "key " + i + " is " + Long.toUnsignedString(node.key(i)) + " after "
                                + Long.toUnsignedString(node.key(i - 1)) + ", keys should ascend");
            }
        }
        if (Long.compareUnsigned(node.key(0), low) < 0 || Long.compareUnsigned(node.key(n - 1), last) > 0) {
            return reader.report(
                    DamageKind.KEY_OUTSIDE_PARENT,
                    this,
                    blockNr,
                    "keys " + Long.toUnsignedString(node.key(0)) + " to " + Long.toUnsignedString(node.key(n - 1))
                            + ", the parent has room for " + Long.toUnsignedString(low) + " to "
                            + Long.toUnsignedString(last));
        }
        if (flags == BTreeNode.FLAG_LEAF) {
            if (leafDepth < 0) {
                leafDepth = depth;
            } else if (leafDepth != depth) {
                return reader.report(
                        DamageKind.UNEVEN_DEPTH,
                        this,
                        blockNr,
                        "a leaf at depth " + depth + ", the others are at " + leafDepth);
            }
        }
        return true;
    }

    private String describeHeader(BTreeNode node) {
        int bytes = node.flags() == BTreeNode.FLAG_INTERNAL ? BTreeNode.BLOCK_VALUE_BYTES : spec.valueBytes();
        return "impossible header: flags " + Integer.toUnsignedString(node.flags()) + ", "
                + Integer.toUnsignedString(node.nrEntries()) + " of " + Integer.toUnsignedString(node.maxEntries())
                + " entries, values of " + Integer.toUnsignedString(node.valueSize())
                + " bytes; expected flags 1 or 2, at most " + BTreeNode.maxEntries(bytes) + " entries, values of "
                + bytes + " bytes";
    }

    /** A third is what the kernel keeps when it removes; it never leaves less, but nothing breaks when it does. */
    private void noteUnderFilled(BTreeNode node, long blockNr) {
        if (depth > 0 && node.nrEntries() < node.maxEntries() / 3) {
            reader.report(
                    DamageKind.UNDER_FILLED,
                    this,
                    blockNr,
                    node.nrEntries() + " entries, a third of " + node.maxEntries() + " is usual");
        }
    }

    private long holder() {
        return depth == 0 ? LostNode.NONE : blocks[depth - 1];
    }

    private void lose(long low, long last) {
        reader.log().treesIncomplete();
        visitor.lost(low, last);
    }
}
