// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.TreeWalker;

/**
 * A walk of a tree that reports every broken rule and goes on: a node that is damaged costs the keys below it, no more, and
 * the visitor learns of the range.
 */
public final class TreeWalk extends Walk implements TreeWalker.Listener {
    /** Receives the leaves. */
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

    private final Visitor visitor;
    private final TreeWalker walker;

    public TreeWalk(BlockReader reader, TreeSpec spec, Visitor visitor) {
        super(reader, spec);
        this.visitor = visitor;
        this.walker = new TreeWalker(reader.source(), this, spec.valueBytes(), reader.treeBuffers(), this);
    }

    /** Walks the tree of writesets at {@code root}, to which the live superblock leads or may have led. */
    public static void writesets(BlockReader reader, long root, WritesetVisitor visitor) {
        new TreeWalk(reader, TreeSpec.live(Structure.WRITESET_TREE), visitor).walk(root);
    }

    /**
     * Walks the tree at {@code root}.
     *
     * @throws UncheckedIOException around what the visitor throws
     */
    public void walk(long root) {
        try {
            walker.walk(root, 0, true);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    String keys() {
        return walker.path();
    }

    @Override
    public boolean leaf(BTreeNode leaf, boolean isFirst) throws IOException {
        for (int i = 0; i < leaf.nrEntries(); i++) {
            visitor.entry(leaf, i, isFirst);
        }
        return true;
    }

    @Override
    public void lost(long blockNr, long low, long last, long holder, boolean isReference, boolean isArrayBlock) {
        lostNode(blockNr, low, last, holder, isReference);
        visitor.lost(low, last);
    }
}
