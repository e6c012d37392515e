// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.HeaderRules;
import org.dmera.core.format.Limits;

/**
 * The nodes of one kind of btree: read, shadowed and made, with their headers verified, and with the children's
 * references kept right when a shared node is copied.
 */
final class TreeNodes {
    private final TransactionManager tm;

    private final ValueType type;
    private final TransactionManager.SharedCopy childrenGain = this::addReferenceToChildren;

    TreeNodes(TransactionManager tm, ValueType type) {
        this.tm = tm;
        this.type = type;
    }

    /** A new empty leaf: an empty tree. */
    CachedBlock newLeaf() throws IOException {
        CachedBlock leaf = tm.newBlock(BlockType.BTREE_NODE);
        new BTreeNode().format(leaf.data, 0, false, type.sizeBytes());
        return leaf;
    }

    /** The node for reading, its header verified. */
    CachedBlock read(long at, int depth) throws IOException {
        requireNoCircle(at, depth);
        return checked(tm.read(at, BlockType.BTREE_NODE));
    }

    /** The node for changing; children gain references when it was shared. The caller patches whoever refers to it. */
    CachedBlock shadow(long at, int depth) throws IOException {
        requireNoCircle(at, depth);
        return checked(tm.shadow(at, BlockType.BTREE_NODE, childrenGain));
    }

    /** Child {@code index} of a node that is being changed, for changing, too. */
    CachedBlock shadowChild(CachedBlock parent, int index) throws IOException {
        CachedBlock child = shadow(parent.node().valueLong(index), 0);
        parent.node().valueLong(index, child.number);
        return child;
    }

    /** A new node of the kind of {@code like}, without entries. */
    CachedBlock newLike(BTreeNode like) throws IOException {
        CachedBlock block = tm.newBlock(BlockType.BTREE_NODE);
        new BTreeNode().format(block.data, 0, like.isInternal(), like.valueSize());
        return block;
    }

    /** What the node refers to gains a reference: children in runs of consecutive numbers, values one by one. */
    void addReferenceToChildren(CachedBlock block) throws IOException {
        BTreeNode node = checked(block).node();
        int n = node.nrEntries();
        if (node.isLeaf()) {
            for (int i = 0; i < n; i++) {
                type.addReference(block.data, node.valueOffset(i));
            }
            return;
        }
        for (int i = 0; i < n; ) {
            long begin = node.valueLong(i);
            long end = begin + 1;
            for (i++; i < n && node.valueLong(i) == end; i++) {
                end++;
            }
            tm.spaceMap().add(begin, end);
        }
    }

    private CachedBlock checked(CachedBlock block) throws DamagedMetadataException {
        if (block.shapeCheckedFor != type.sizeBytes()) {
            BTreeNode node = block.node();
            if (!node.hasSaneShape(type.sizeBytes())) {
                throw DamagedMetadataException.inBlock(
                        DamageKind.BAD_HEADER,
                        block.number,
                        "node of the " + type.label(),
                        HeaderRules.message(HeaderRules.problems(node, type.sizeBytes())));
            }
            block.shapeCheckedFor = type.sizeBytes();
        }
        return block;
    }

    /** A walk that is longer than any tree of 2^64 keys is deep goes in a circle. */
    private void requireNoCircle(long at, int depth) throws DamagedMetadataException {
        if (depth >= Limits.MAX_TREE_LEVELS) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.TOO_DEEP,
                    at,
                    "node of the " + type.label(),
                    "deeper than " + Limits.MAX_TREE_LEVELS + " levels");
        }
    }

    /** Entries move only between nodes of one kind; neighbours of two kinds are damage. */
    void requireSameLevel(CachedBlock one, CachedBlock other) throws DamagedMetadataException {
        if (one.node().isLeaf() != other.node().isLeaf()) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.UNEVEN_DEPTH,
                    one.number,
                    "node of the " + type.label(),
                    "one of it and its neighbour, block " + other.number + ", is a leaf and the other is not");
        }
    }

    void requireEntries(BTreeNode node, long at) throws DamagedMetadataException {
        if (node.nrEntries() == 0) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.EMPTY_NODE,
                    at,
                    "node of the " + type.label(),
                    "an internal node without entries; expected one at least");
        }
    }
}
