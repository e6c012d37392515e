// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.BTreeNode;

/**
 * Keeps btree nodes full enough: before a removal goes down to a child, that child and its neighbours are merged or
 * evened out, so that no removal has to come back up.
 *
 * <p>The thresholds and the order of moves are the kernel's, because they show in the layout and in the stale bytes.
 */
final class NodeRebalance {
    private final TransactionManager tm;
    private final TreeNodes nodes;

    NodeRebalance(TransactionManager tm, TreeNodes nodes) {
        this.tm = tm;
        this.nodes = nodes;
    }

    /**
     * Prepares the child of {@code parent} that covers {@code key}. An only child takes its parent's place: then the
     * parent may be a leaf afterwards.
     */
    void childFor(CachedBlock parent, long key) throws IOException {
        BTreeNode p = parent.node();
        if (p.nrEntries() == 1) {
            // In trees of the kernel's making this is done once. In a chain of such nodes the kernel takes every other
            // one out, and leaves an empty leaf below the rest when the last key goes.
            for (int depth = 1; parent.node().isInternal() && parent.node().nrEntries() == 1; depth++) {
                replaceByOnlyChild(parent, depth);
            }
            return;
        }
        int i = p.lowerBound(key);
        if (i < 0) {
            return;
        }
        if (i == 0) {
            rebalanceTwo(parent, 0);
        } else if (i == p.nrEntries() - 1) {
            rebalanceTwo(parent, i - 1);
        } else {
            rebalanceThree(parent, i - 1);
        }
    }

    private void replaceByOnlyChild(CachedBlock parent, int depth) throws IOException {
        long number = parent.node().valueLong(0);
        boolean shared = tm.spaceMap().isShared(number);
        CachedBlock child = nodes.read(number, depth);
        System.arraycopy(child.bytes, 0, parent.bytes, 0, BlockDevice.BLOCK_BYTES);
        parent.shapeCheckedFor = 0;
        if (shared) {
            nodes.addReferenceToChildren(parent);
        }
        tm.spaceMap().drop(number);
    }

    private void rebalanceTwo(CachedBlock parent, int leftIndex) throws IOException {
        CachedBlock left = nodes.shadowChild(parent, leftIndex);
        CachedBlock right = nodes.shadowChild(parent, leftIndex + 1);
        nodes.requireSameLevel(left, right);
        mergeOrEvenOut(parent, leftIndex + 1, left, right);
    }

    private void mergeOrEvenOut(CachedBlock parent, int rightIndex, CachedBlock left, CachedBlock right)
            throws IOException {
        int nLeft = left.node().nrEntries();
        int nRight = right.node().nrEntries();
        if (nLeft + nRight < 2 * (left.node().maxEntries() / 3 + 1)) {
            NodeMoves.copy(right, 0, left, nLeft, nRight);
            left.node().nrEntries(nLeft + nRight);
            NodeMoves.deleteAt(parent, rightIndex);
            tm.spaceMap().drop(right.number);
        } else {
            NodeMoves.shift(left, right, nLeft - (nLeft + nRight) / 2);
            parent.node().key(rightIndex, right.node().key(0));
        }
    }

    private void rebalanceThree(CachedBlock parent, int leftIndex) throws IOException {
        CachedBlock left = nodes.shadowChild(parent, leftIndex);
        CachedBlock centre = nodes.shadowChild(parent, leftIndex + 1);
        CachedBlock right = nodes.shadowChild(parent, leftIndex + 2);
        nodes.requireSameLevel(left, centre);
        nodes.requireSameLevel(centre, right);
        int total = left.node().nrEntries()
                + centre.node().nrEntries()
                + right.node().nrEntries();
        if (total < 4 * (left.node().maxEntries() / 3) + 1) {
            dropCentre(parent, leftIndex, left, centre, right);
        } else {
            redistribute3(left, centre, right, total);
            parent.node().key(leftIndex + 1, centre.node().key(0));
            parent.node().key(leftIndex + 2, right.node().key(0));
        }
    }

    private void dropCentre(CachedBlock parent, int leftIndex, CachedBlock left, CachedBlock centre, CachedBlock right)
            throws IOException {
        int nLeft = left.node().nrEntries();
        int nCentre = centre.node().nrEntries();
        int nRight = right.node().nrEntries();
        int toLeft = Math.min(left.node().maxEntries() - nLeft, nCentre);
        NodeMoves.copy(centre, 0, left, nLeft, toLeft);
        left.node().nrEntries(nLeft + toLeft);
        int toRight = nCentre - toLeft;
        if (toRight > 0) {
            NodeMoves.copy(right, 0, right, toRight, nRight);
            NodeMoves.copy(centre, nCentre - toRight, right, 0, toRight);
            right.node().nrEntries(nRight + toRight);
        }
        parent.node().key(leftIndex + 2, right.node().key(0));
        NodeMoves.deleteAt(parent, leftIndex + 1);
        tm.spaceMap().drop(centre.number);
        mergeOrEvenOut(parent, leftIndex + 1, left, right);
    }

    /** Right gets floor(total/3), left the same and one more when there is a remainder, the centre what is left. */
    private static void redistribute3(CachedBlock left, CachedBlock centre, CachedBlock right, int total) {
        int targetRight = total / 3;
        int targetLeft = targetRight + (total % 3 == 0 ? 0 : 1);
        if (left.node().nrEntries() < right.node().nrEntries()) {
            int missing = targetLeft - left.node().nrEntries();
            int inCentre = centre.node().nrEntries();
            if (missing > inCentre) {
                NodeMoves.shift(left, centre, -inCentre);
                NodeMoves.shift(left, right, inCentre - missing);
            } else {
                NodeMoves.shift(left, centre, -missing);
            }
            NodeMoves.shift(centre, right, targetRight - right.node().nrEntries());
        } else {
            int missing = targetRight - right.node().nrEntries();
            int inCentre = centre.node().nrEntries();
            if (missing > inCentre) {
                NodeMoves.shift(centre, right, inCentre);
                NodeMoves.shift(left, right, missing - inCentre);
            } else {
                NodeMoves.shift(centre, right, missing);
            }
            NodeMoves.shift(left, centre, left.node().nrEntries() - targetLeft);
        }
    }
}
