// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;

/**
 * Visits the leaves of a btree in key order. One instance serves any number of walks, one at a time.
 *
 * <p>Keys must ascend over the whole tree and stay between the keys of the parent, so nothing is visited twice without
 * notice; the depth is limited, and the {@link BlockReader} reads nothing twice.
 */
public final class TreeWalker {
    /** Receives leaves. */
    public interface LeafVisitor {
        /** Looks at a leaf, valid during the call; returns false to end the walk. */
        boolean leaf(BTreeNode leaf) throws IOException;
    }

    private final BlockReader reader;
    private final ByteBuffer[] buffers = new ByteBuffer[Limits.MAX_TREE_LEVELS];
    private final BTreeNode[] nodes = new BTreeNode[Limits.MAX_TREE_LEVELS];

    private int leafValueSize;
    private String structure;
    private long firstKey;
    private LeafVisitor visitor;
    private long lastKey;
    private boolean anyKey;

    public TreeWalker(BlockReader reader) {
        this.reader = reader;
    }

    /**
     * Walks the tree under {@code root}, whose leaves hold values of {@code leafValueSize} bytes.
     *
     * @param structure what the tree is, for messages: {@code writeset tree}
     * @throws DamagedMetadataException when a node is not one, or keys don't ascend
     */
    public void walk(long root, int leafValueSize, String structure, LeafVisitor visitor) throws IOException {
        walkFrom(root, 0, leafValueSize, structure, visitor);
    }

    /**
     * As {@link #walk}, from the leaf on in which {@code firstKey} is, or would be: subtrees of lower keys are not read.
     */
    public void walkFrom(long root, long firstKey, int leafValueSize, String structure, LeafVisitor visitor)
            throws IOException {
        this.firstKey = firstKey;
        this.leafValueSize = leafValueSize;
        this.structure = structure;
        this.visitor = visitor;
        anyKey = false;
        visit(root, 0, 0, false, 0);
    }

    /** @param hasUpper whether {@code upper} bounds the keys; without it, they may be as high as they like */
    private boolean visit(long blockNr, int level, long lower, boolean hasUpper, long upper) throws IOException {
        if (level == Limits.MAX_TREE_LEVELS) {
            throw new DamagedMetadataException(
                    blockNr,
                    structure + ": btree node " + blockNr + " lies deeper than " + Limits.MAX_TREE_LEVELS
                            + " levels: a cycle, or a tree that can't be");
        }
        BTreeNode node = load(blockNr, level);
        int count = node.nrEntries();
        checkKeys(node, blockNr, lower, hasUpper, upper);
        if (node.isLeaf()) {
            return visitor.leaf(node);
        }
        if (count == 0) {
            throw new DamagedMetadataException(
                    blockNr, structure + ": btree node " + blockNr + " is an internal node without entries");
        }
        for (int i = 0; i < count; i++) {
            boolean bounded = i + 1 < count || hasUpper;
            long childUpper = i + 1 < count ? node.key(i + 1) : upper;
            if (bounded && Long.compareUnsigned(childUpper, firstKey) <= 0) {
                continue;
            }
            if (!visit(node.valueLong(i), level + 1, node.key(i), bounded, childUpper)) {
                return false;
            }
        }
        return true;
    }

    private BTreeNode load(long blockNr, int level) throws IOException {
        if (buffers[level] == null) {
            buffers[level] = BlockReader.newBuffer(1);
            nodes[level] = new BTreeNode();
        }
        reader.read(BlockType.BTREE_NODE, blockNr, 1, buffers[level], structure);
        BTreeNode node = nodes[level].wrap(buffers[level], 0);
        if (!node.hasSaneShape(leafValueSize)) {
            throw new DamagedMetadataException(
                    blockNr,
                    structure + ": btree node " + blockNr + " has an impossible header: flags " + node.flags()
                            + ", value_size " + Integer.toUnsignedString(node.valueSize()) + ", nr_entries "
                            + Integer.toUnsignedString(node.nrEntries()) + ", max_entries "
                            + Integer.toUnsignedString(node.maxEntries()) + "; expected values of " + leafValueSize
                            + " bytes in a leaf, 8 in an internal node");
        }
        return node;
    }

    private void checkKeys(BTreeNode node, long blockNr, long lower, boolean hasUpper, long upper)
            throws DamagedMetadataException {
        boolean leaf = node.isLeaf();
        boolean hasPrevious = leaf && anyKey;
        long previous = lastKey;
        for (int i = 0, count = node.nrEntries(); i < count; i++) {
            long key = node.key(i);
            if (hasPrevious && Long.compareUnsigned(key, previous) <= 0) {
                throw new DamagedMetadataException(
                        blockNr,
                        structure + ": btree node " + blockNr + ": key " + Long.toUnsignedString(key) + " (entry " + i
                                + ") follows key " + Long.toUnsignedString(previous) + ", keys must ascend");
            }
            if (Long.compareUnsigned(key, lower) < 0 || hasUpper && Long.compareUnsigned(key, upper) >= 0) {
                throw new DamagedMetadataException(
                        blockNr,
                        structure + ": btree node " + blockNr + ": key " + Long.toUnsignedString(key) + " (entry " + i
                                + ") lies outside the range that its parent gives, from "
                                + Long.toUnsignedString(lower)
                                + (hasUpper ? " to below " + Long.toUnsignedString(upper) : " on"));
            }
            previous = key;
            hasPrevious = true;
        }
        if (leaf && node.nrEntries() > 0) {
            lastKey = previous;
            anyKey = true;
        }
    }
}
