// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import org.dmera.core.evidence.BlockReader;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Limits;

/** Goes down trees that may be damaged, to the node that a key belongs to. */
final class NodeFinder {
    private NodeFinder() {}

    /** The node {@code height} levels above the leaves that covers {@code key}, or null. */
    static BTreeNode find(BlockReader reader, long root, long key, int height, int valueBytes) {
        int levels = 0;
        BTreeNode node = node(reader, root, valueBytes);
        while (node != null && node.isInternal() && node.nrEntries() > 0 && ++levels < Limits.MAX_TREE_LEVELS) {
            node = node(reader, node.valueLong(0), valueBytes);
        }
        if (node == null || levels < height || levels == Limits.MAX_TREE_LEVELS) {
            return null;
        }
        node = node(reader, root, valueBytes);
        for (; node != null && levels > height; levels--) {
            if (!node.isInternal() || node.nrEntries() == 0) {
                return null;
            }
            node = node(reader, node.valueLong(Math.max(0, node.lowerBound(key))), valueBytes);
        }
        return node != null && node.isInternal() == height > 0 ? node : null;
    }

    private static BTreeNode node(BlockReader reader, long blockNr, int valueBytes) {
        BTreeNode node = reader.node(blockNr, BlockReader.newBuffer());
        return node != null && node.hasSaneShape(valueBytes) ? node : null;
    }
}
