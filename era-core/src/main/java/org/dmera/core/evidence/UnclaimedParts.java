// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Limits;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.StoredCounts;

/**
 * Subtrees and array blocks that lost a reference of the live trees: the space map counts more for each than the walks of
 * all trees have found, and none that was found is of a live tree. That goes for what a held snapshot refers to as well:
 * what the live trees share with it has lost a reference even though it still has one. An older version of such a part
 * can't be among them, for the map of the last commit counts it as free.
 */
public final class UnclaimedParts {
    private static final int MAX_UNATTACHED = 1 << 16;

    /** What is in the array blocks, or leaves, at the bottom of a subtree. */
    public enum Content {
        ERAS(Structure.ERA_ARRAY),
        WORDS(Structure.WRITESET),
        WRITESETS(Structure.WRITESET_TREE);

        private final Structure structure;

        Content(Structure structure) {
            this.structure = structure;
        }

        public static Content of(TreeSpec tree) {
            return switch (tree.structure()) {
                case ERA_ARRAY -> ERAS;
                case WRITESET_TREE -> WRITESETS;
                default -> WORDS;
            };
        }

        /** The part of the metadata that holds such content. */
        public Structure structure() {
            return structure;
        }

        /** What an array block with this {@link BlockVerdict} code holds; null for one of another kind. */
        public static Content of(int code) {
            return switch (code) {
                case BlockVerdict.ERAS -> ERAS;
                case BlockVerdict.WORDS -> WORDS;
                default -> null;
            };
        }
    }

    /**
     * A subtree that somebody refers to who can't be read, or no longer does.
     *
     * @param low its first key (u64)
     * @param high its last key (u64)
     * @param height levels below its root
     */
    public record Subtree(int blockNr, Content content, long low, long high, int height) {}

    private final BlockReader reader;
    private final BlockUse table;
    private final StoredCounts counts;
    private final ByteBuffer block = BlockReader.newBuffer();
    private BTreeNode node;
    private final boolean anybody;
    private final List<Subtree> subtrees = new ArrayList<>();
    private final Map<Content, List<Integer>> unattached = new EnumMap<>(Content.class);
    private int unknown;

    /**
     * Looks for them, when {@code reader} has walked all trees.
     *
     * @param anybody whether parts count that have lost a reference of the snapshot's, too
     */
    public UnclaimedParts(BlockReader reader, StoredCounts counts, boolean anybody) {
        this.reader = reader;
        this.table = reader.table();
        this.counts = counts;
        this.anybody = anybody;
        find();
    }

    /** The subtrees with {@code content}, in the order of their keys. */
    public List<Subtree> subtrees(Content content) {
        return subtrees.stream()
                .filter(subtree -> subtree.content() == content)
                .sorted(Comparator.comparingLong(subtree -> subtree.low() + Long.MIN_VALUE))
                .toList();
    }

    /** The array blocks with {@code content} to which nothing leads, not even from a subtree: the first of them. */
    public List<Integer> unattached(Content content) {
        return unattached.getOrDefault(content, List.of());
    }

    /** Whether more array blocks with {@code content} are unattached than {@link #unattached} lists. */
    public boolean isCutShort(Content content) {
        return unattached(content).size() == MAX_UNATTACHED;
    }

    /** Blocks that are missed too, and may be a part of anything: they can't be read, or what is below them can't. */
    public int unknown() {
        return unknown;
    }

    /** Whether array blocks are unattached and a block that can't be read is missed, too: it may be what led to them. */
    public boolean mayHaveLostTheirNode() {
        return unknown > 0 && !unattached.isEmpty();
    }

    /** Whether there are none. */
    public boolean isEmpty() {
        return subtrees.isEmpty() && unattached.isEmpty();
    }

    /** Whether more references to a block are stored than were found, and one of the live trees' may be missing. */
    private boolean isMissed(int b) {
        return table.isUnclaimed(b, counts) && (anybody || !table.hasMark(b, BlockUse.LIVE));
    }

    private void find() {
        if (counts.isCutOff()) {
            unknown++;
        }
        BitSet referred = new BitSet(table.size());
        for (int b = 1; b < table.size(); b++) {
            if (isMissed(b) && table.references(b) == 0 && load(b)) {
                refer(referred);
            }
        }
        for (int b = 1; b < table.size(); b++) {
            if (!isMissed(b) || referred.get(b)) {
                continue;
            }
            Content content = contentOfBlock(b);
            if (content != null) {
                List<Integer> some = unattached.computeIfAbsent(content, any -> new ArrayList<>());
                if (some.size() < MAX_UNATTACHED) {
                    some.add(b);
                }
            } else if (load(b)) {
                add(b);
            } else if (!isOfSpaceMap(b)) {
                unknown++;
            }
        }
    }

    private void add(int b) {
        boolean isEmptyArray = node.nrEntries() == 0 && node.isLeaf() && node.valueSize() != WritesetValue.BYTES;
        Subtree subtree = subtree(b);
        if (subtree != null) {
            subtrees.add(subtree);
        } else if (!isEmptyArray) {
            unknown++;
        }
    }

    /** What holds no mark, nor leads to any: a leaf of the ref-count tree is all of that tree that the era target ever has. */
    private boolean isOfSpaceMap(int b) {
        int code = reader.code(b);
        if (code == BlockVerdict.INDEX || code == BlockVerdict.BITMAP) {
            return true;
        }
        BTreeNode other = reader.node(b, block);
        return other != null && other.isLeaf() && other.hasSaneShape(Integer.BYTES);
    }

    /** Loads a node of any tree with marks; returns whether it is one. */
    private boolean load(long blockNr) {
        node = reader.node(blockNr, block);
        return node != null
                && (node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES) || node.hasSaneShape(WritesetValue.BYTES));
    }

    private void refer(BitSet referred) {
        for (int i = 0; i < node.nrEntries(); i++) {
            long b = node.reference(i);
            if (table.isUsable(b)) {
                referred.set((int) b);
            }
            if (!table.isUsable(b) || !table.isUnclaimed((int) b, counts)) {
                // The map counts no reference from here: this is an older version, and what it was is nowhere.
                unknown++;
            }
        }
    }

    private Content contentOfBlock(long blockNr) {
        return table.isUsable(blockNr) && !table.isOutdated(blockNr) ? Content.of(reader.code(blockNr)) : null;
    }

    /** What is below {@code root}, whoever refers to it; null when that isn't known. */
    public Subtree subtree(int root) {
        if (!load(root)) {
            return null;
        }
        if (node.nrEntries() == 0) {
            // An empty tree of writesets; an empty array looks the same as an empty bitset.
            boolean isTree = node.isLeaf() && node.valueSize() == WritesetValue.BYTES;
            return isTree ? new Subtree(root, Content.WRITESETS, 0, 0, 0) : null;
        }
        long low = node.key(0);
        int height = descend(false);
        Content content = height >= 0 && node.valueSize() == WritesetValue.BYTES ? Content.WRITESETS : null;
        for (int i = 0; height >= 0 && content == null && i < node.nrEntries(); i++) {
            content = contentOfBlock(node.valueLong(i));
        }
        return content == null || !load(root) || descend(true) < 0
                ? null
                : new Subtree(root, content, low, node.key(node.nrEntries() - 1), height);
    }

    /** Goes from {@link #node} to its first or last leaf; returns the levels between, or −1 when it can't be had. */
    private int descend(boolean isLast) {
        int levels = 0;
        while (node.isInternal()) {
            long next = node.valueLong(isLast ? node.nrEntries() - 1 : 0);
            if (++levels == Limits.MAX_TREE_LEVELS || !load(next) || node.nrEntries() == 0) {
                return -1;
            }
        }
        return levels;
    }
}
