// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import org.dmera.core.format.BTreeNode;

/**
 * Moves of entries within a btree node and between two nodes of the same kind.
 *
 * <p>They are plain memory moves: a slot past nr_entries keeps whatever bytes it had. Those stale bytes are part of what
 * is compared with the kernel's images, so the order of moves matters as much as where the entries end up.
 */
final class NodeMoves {
    private NodeMoves() {}

    /** Opens a gap at {@code index} and puts {@code key} and a value of {@code sizeBytes} there. */
    static void insertAt(CachedBlock block, int index, long key, byte[] value, int sizeBytes) {
        BTreeNode node = block.node();
        int n = node.nrEntries();
        move(block, node, index, block, node, index + 1, n - index);
        node.key(index, key);
        System.arraycopy(value, 0, block.bytes, node.valueOffset(index), sizeBytes);
        node.nrEntries(n + 1);
    }

    /** As {@link #insertAt(CachedBlock, int, long, byte[], int)}, for a child of an internal node. */
    static void insertChildAt(CachedBlock block, int index, long key, long child) {
        BTreeNode node = block.node();
        int n = node.nrEntries();
        move(block, node, index, block, node, index + 1, n - index);
        node.key(index, key).valueLong(index, child).nrEntries(n + 1);
    }

    /** Closes the gap that entry {@code index} leaves. */
    static void deleteAt(CachedBlock block, int index) {
        BTreeNode node = block.node();
        int n = node.nrEntries();
        move(block, node, index + 1, block, node, index, n - index - 1);
        node.nrEntries(n - 1);
    }

    /** Copies entries into a node whose own entries, and both counts, stay as they are. */
    static void copy(CachedBlock from, int fromIndex, CachedBlock to, int toIndex, int count) {
        move(from, from.node(), fromIndex, to, to.node(), toIndex, count);
    }

    /**
     * Moves {@code count} entries from the end of {@code left} to the beginning of {@code right}; a negative count moves
     * the other way.
     */
    static void shift(CachedBlock left, CachedBlock right, int count) {
        BTreeNode l = left.node();
        BTreeNode r = right.node();
        int nLeft = l.nrEntries();
        int nRight = r.nrEntries();
        if (count > 0) {
            move(right, r, 0, right, r, count, nRight);
            move(left, l, nLeft - count, right, r, 0, count);
        } else if (count < 0) {
            move(right, r, 0, left, l, nLeft, -count);
            move(right, r, -count, right, r, 0, nRight + count);
        }
        l.nrEntries(nLeft - count);
        r.nrEntries(nRight + count);
    }

    private static void move(
            CachedBlock from, BTreeNode f, int fromIndex, CachedBlock to, BTreeNode t, int toIndex, int count) {
        if (count <= 0) {
            return;
        }
        System.arraycopy(from.bytes, BTreeNode.KEYS + 8 * fromIndex, to.bytes, BTreeNode.KEYS + 8 * toIndex, 8 * count);
        System.arraycopy(from.bytes, f.valueOffset(fromIndex), to.bytes, t.valueOffset(toIndex), f.valueSize() * count);
    }
}
