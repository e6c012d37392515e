// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.read.Problem;
import org.dmera.core.read.TreeWalker;

/**
 * A walk of a tree that reports every broken rule and goes on: a node that is damaged costs the keys below it, no more, and
 * the visitor is told of the range.
 */
public final class TreeWalk implements TreeWalker.Listener, DamageLocation {
    /** Receives the leaves. */
    public interface Visitor {
        /** Entry {@code index} of a leaf; {@code counted} says whether the reference in it has to be counted. */
        void entry(BTreeNode leaf, int index, boolean counted);

        /** The keys from {@code from} to {@code last}, both included (unsigned), can't be had. */
        void lost(long from, long last);
    }

    private final BlockReader reader;
    private final TreeSpec spec;
    private final Visitor visitor;
    private final TreeWalker walker;

    /** {@code buffers}: as those of {@link TreeWalker}. */
    public TreeWalk(BlockReader reader, TreeSpec spec, ByteBuffer[] buffers, Visitor visitor) {
        this.reader = reader;
        this.spec = spec;
        this.visitor = visitor;
        this.walker = new TreeWalker(reader.source(), new TreeClaims(reader, spec), spec.valueBytes(), buffers, this);
    }

    /** Walks the tree at {@code root}; {@code counted} says whether the reference to the root has to be counted. */
    public void walk(long root, boolean counted) {
        try {
            walker.walk(root, counted);
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
        return spec.path() + walker.path();
    }

    @Override
    public String consequence() {
        return spec.consequence();
    }

    @Override
    public void problem(Problem problem) {
        reader.report(problem, this);
    }

    @Override
    public boolean leaf(BTreeNode leaf, boolean isFirst) {
        for (int i = 0; i < leaf.nrEntries(); i++) {
            visitor.entry(leaf, i, isFirst);
        }
        return true;
    }

    @Override
    public void lost(long blockNr, long low, long last, long holder, boolean isReference, boolean isArrayBlock) {
        reader.log().lost(new LostNode(blockNr, spec, low, last, holder, isReference));
        visitor.lost(low, last);
    }
}
