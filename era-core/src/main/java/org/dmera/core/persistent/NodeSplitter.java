// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import org.dmera.core.format.BTreeNode;

/**
 * How a full btree node makes room for one more entry.
 *
 * <p>A full root keeps its place and splits beneath itself. Another node gives entries to a neighbour that has room and
 * is not shared, the left one first; else it is split: alone when there is nobody to share with cheaply (which is also
 * what suits keys that come in order), or with its left neighbour, two into three. The policy is the kernel's, because
 * it shows in the layout.
 */
final class NodeSplitter {
    /** A neighbour is given entries only when it has this many free places: fewer would soon need the next move. */
    private static final int WORTHWHILE_FREE_PLACES = 8;

    private final TransactionManager tm;
    private final TreeNodes nodes;

    NodeSplitter(TransactionManager tm, TreeNodes nodes) {
        this.tm = tm;
        this.nodes = nodes;
    }

    /** The root becomes an internal node above two new nodes which share its entries. Its old bytes stay as they were. */
    void splitBeneath(CachedBlock rootBlock) throws IOException {
        BTreeNode root = rootBlock.node();
        CachedBlock left = nodes.newLike(root);
        CachedBlock right = nodes.newLike(root);
        int total = root.nrEntries();
        int toLeft = total / 2;
        NodeMoves.copy(rootBlock, 0, left, 0, toLeft);
        NodeMoves.copy(rootBlock, toLeft, right, 0, total - toLeft);
        left.node().nrEntries(toLeft);
        right.node().nrEntries(total - toLeft);
        root.format(rootBlock.data, 0, true, BTreeNode.BLOCK_VALUE_BYTES);
        root.key(0, left.node().key(0)).valueLong(0, left.number);
        root.key(1, right.node().key(0)).valueLong(1, right.number);
        root.nrEntries(2);
        rootBlock.shapeCheckedFor = 0;
    }

    /** Makes room in {@code current}, child {@code at} of {@code parent}; returns the node that now covers the key. */
    CachedBlock makeRoom(CachedBlock parent, int at, CachedBlock current, long key) throws IOException {
        BTreeNode p = parent.node();
        int siblings = p.nrEntries();
        boolean neighbourShared = false;
        if (at > 0) {
            long left = p.valueLong(at - 1);
            boolean shared = tm.spaceMap().isShared(left);
            if (!shared && hasWorthwhileRoom(left, current)) {
                CachedBlock sibling = nodes.shadowChild(parent, at - 1);
                return redistribute2(parent, at, sibling, current, key);
            }
            neighbourShared = shared;
        }
        if (at < siblings - 1) {
            long right = p.valueLong(at + 1);
            boolean shared = tm.spaceMap().isShared(right);
            if (!shared && hasWorthwhileRoom(right, current)) {
                CachedBlock sibling = nodes.shadowChild(parent, at + 1);
                return redistribute2(parent, at + 1, current, sibling, key);
            }
            neighbourShared |= shared;
        }
        if (neighbourShared || siblings <= 2 || at == 0 || at == siblings - 1) {
            return splitInTwo(parent, at, current, key);
        }
        return splitTwoIntoThree(parent, at, current, key);
    }

    private boolean hasWorthwhileRoom(long number, CachedBlock beside) throws IOException {
        CachedBlock sibling = nodes.read(number, 0);
        nodes.requireSameLevel(sibling, beside);
        BTreeNode node = sibling.node();
        return node.maxEntries() - node.nrEntries() >= WORTHWHILE_FREE_PLACES;
    }

    private static CachedBlock redistribute2(
            CachedBlock parent, int rightIndex, CachedBlock left, CachedBlock right, long key) {
        halve(left, right);
        parent.node().key(rightIndex, right.node().key(0));
        return Long.compareUnsigned(key, right.node().key(0)) < 0 ? left : right;
    }

    private CachedBlock splitInTwo(CachedBlock parent, int at, CachedBlock left, long key) throws IOException {
        CachedBlock right = nodes.newLike(left.node());
        halve(left, right);
        NodeMoves.insertChildAt(parent, at + 1, right.node().key(0), right.number);
        return Long.compareUnsigned(key, right.node().key(0)) < 0 ? left : right;
    }

    /** Left gets floor(total/2) of the entries of both. */
    private static void halve(CachedBlock left, CachedBlock right) {
        int nLeft = left.node().nrEntries();
        int total = nLeft + right.node().nrEntries();
        NodeMoves.shift(left, right, nLeft - total / 2);
    }

    private CachedBlock splitTwoIntoThree(CachedBlock parent, int at, CachedBlock right, long key) throws IOException {
        CachedBlock left = nodes.shadowChild(parent, at - 1);
        nodes.requireSameLevel(left, right);
        CachedBlock middle = nodes.newLike(left.node());
        int nLeft = left.node().nrEntries();
        int nRight = right.node().nrEntries();
        int total = nLeft + nRight;
        int toLeft = total / 3;
        int toMiddle = (total - toLeft) / 2;
        // Both neighbours are within 8 of full, so each has something to give and neither takes any.
        int fromLeft = nLeft - toLeft;
        int fromRight = toMiddle - fromLeft;
        NodeMoves.copy(left, toLeft, middle, 0, fromLeft);
        NodeMoves.copy(right, 0, middle, fromLeft, fromRight);
        NodeMoves.copy(right, fromRight, right, 0, nRight - fromRight);
        left.node().nrEntries(toLeft);
        middle.node().nrEntries(toMiddle);
        right.node().nrEntries(nRight - fromRight);
        NodeMoves.insertChildAt(parent, at, middle.node().key(0), middle.number);
        parent.node().key(at + 1, right.node().key(0));
        if (Long.compareUnsigned(key, middle.node().key(0)) < 0) {
            return left;
        }
        return Long.compareUnsigned(key, right.node().key(0)) < 0 ? middle : right;
    }
}
