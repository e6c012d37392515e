// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.WritesetValue;

/**
 * Puts lost btree nodes together again from the children that they have left behind.
 *
 * <p>The space map counts a reference for each child of a lost node, and no walk finds it. The nodes with such an excess,
 * whose keys lie where keys were lost, are the children. An older version of a child can't be among them, for the map of
 * the last commit counts it as free.
 *
 * <p>An adopted stranger would lose marks, so certainty is asked for: with the nodes put together, a check of everything
 * must find no count that is wrong: each block that is in use has its place, and each place its block. If there is any
 * doubt, nothing is put together, and what is below the lost nodes counts as written.
 */
final class LostNodes {
    private static final int DEEPEST = 64;

    /** What is in the array blocks, or leaves, at the bottom of a subtree. */
    private enum Content {
        ERAS,
        WORDS,
        WRITESETS
    }

    /** A subtree that somebody refers to who can't be read. */
    private record Child(int blockNr, Content content, long low, long high, int height) {}

    private final BlockReader reader;
    private final BlockTable table;
    private final StoredCounts counts;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final BTreeNode node = new BTreeNode();
    private final List<Child> children = new ArrayList<>();
    private final Set<Integer> adopted = new HashSet<>();
    /** Array blocks that are missed at the bottom, by content; of each the first two. */
    private final Map<Content, List<Integer>> looseBlocks = new HashMap<>();

    private LostNodes(BlockReader reader, StoredCounts counts) {
        this.reader = reader;
        this.table = reader.table();
        this.counts = counts;
    }

    /**
     * A view of {@code device} on which {@code lost} can be read, or null when it is not certain what they were.
     *
     * @param reader whose table has the references that walks of all trees have found
     * @param counts the stored counts, which contradict neither themselves nor the trees
     */
    static BlockDevice restored(BlockDevice device, BlockReader reader, StoredCounts counts, List<LostNode> lost) {
        Map<Long, ByteBuffer> patches = new LostNodes(reader, counts).rebuild(lost);
        if (patches == null) {
            return null;
        }
        PatchedDevice patched = new PatchedDevice(device, patches);
        try {
            return isCertain(MetadataChecker.check(patched)) ? patched : null;
        } catch (InterruptedIOException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private static boolean isCertain(CheckReport report) {
        if (report.areTreesIncomplete()) {
            return false;
        }
        for (Damage damage : report.damages()) {
            boolean about = damage.structure().isSpaceMap()
                    || damage.kind() == DamageKind.DOUBLY_USED
                    || damage.kind() == DamageKind.ORPHAN_TREE
                    || damage.kind() == DamageKind.ARRAY_BLOCK_MISSING
                    || damage.kind() == DamageKind.ARRAY_BLOCK_SHORT
                    || damage.kind() == DamageKind.ARRAY_BLOCK_LONG
                    || damage.kind() == DamageKind.ARRAY_BLOCK_EXTRA;
            if (about && damage.severity() != Severity.NOTE) {
                return false;
            }
        }
        return true;
    }

    private Map<Long, ByteBuffer> rebuild(List<LostNode> lost) {
        findChildren();
        Map<Long, ByteBuffer> patches = new HashMap<>();
        for (LostNode each : lost) {
            ByteBuffer rebuilt = corrected(each);
            if (rebuilt == null) {
                rebuilt = fromChildren(each);
            }
            if (rebuilt == null || patches.put(each.blockNr(), rebuilt) != null) {
                return null;
            }
        }
        return patches;
    }

    /** The node as it was, if a single bit has flipped. */
    private ByteBuffer corrected(LostNode lost) {
        ByteBuffer copy = BlockReader.newBuffer();
        boolean corrected = reader.tryRead(lost.blockNr(), copy) == null
                && BitFlip.correct(copy, BlockType.BTREE_NODE, lost.blockNr())
                && new BTreeNode().wrap(copy, 0).hasSaneShape(lost.tree().valueBytes());
        return corrected ? copy : null;
    }

    private ByteBuffer fromChildren(LostNode lost) {
        Content content = contentOf(lost.tree());
        List<Child> found = new ArrayList<>();
        for (Child child : children) {
            if (child.content() == content
                    && Long.compareUnsigned(child.low(), lost.low()) >= 0
                    && Long.compareUnsigned(child.high(), lost.last()) <= 0) {
                found.add(child);
            }
        }
        List<Integer> loose = looseBlocks.getOrDefault(content, List.of());
        if (found.isEmpty() && loose.size() == 1 && lost.isWholeTree() && adopted.add(loose.get(0))) {
            ByteBuffer leaf = BlockReader.newBuffer();
            BTreeNode made = new BTreeNode().format(leaf, 0, false, BTreeNode.BLOCK_VALUE_BYTES);
            made.nrEntries(1);
            made.key(0, 0);
            made.valueLong(0, loose.get(0));
            return sealed(leaf, lost);
        }
        found.sort(Comparator.comparingLong(child -> child.low() + Long.MIN_VALUE));
        return isOneNode(found) ? internal(found, lost) : null;
    }

    private static Content contentOf(TreeSpec tree) {
        return switch (tree.structure()) {
            case ERA_ARRAY -> Content.ERAS;
            case WRITESET_TREE -> Content.WRITESETS;
            default -> Content.WORDS;
        };
    }

    /** Whether these can be the children of one node: keys without a gap, which arrays and eras never have. */
    private boolean isOneNode(List<Child> found) {
        if (found.isEmpty() || found.size() > BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES)) {
            return false;
        }
        for (int i = 0; i < found.size(); i++) {
            Child child = found.get(i);
            if (!adopted.add(child.blockNr())
                    || child.height() != found.get(0).height()
                    || i > 0 && child.low() != found.get(i - 1).high() + 1) {
                return false;
            }
        }
        return true;
    }

    private static ByteBuffer internal(List<Child> found, LostNode lost) {
        ByteBuffer bytes = BlockReader.newBuffer();
        BTreeNode made = new BTreeNode().format(bytes, 0, true, BTreeNode.BLOCK_VALUE_BYTES);
        made.nrEntries(found.size());
        for (int i = 0; i < found.size(); i++) {
            made.key(i, found.get(i).low());
            made.valueLong(i, found.get(i).blockNr());
        }
        return sealed(bytes, lost);
    }

    private static ByteBuffer sealed(ByteBuffer bytes, LostNode lost) {
        new BlockSeal().seal(BlockType.BTREE_NODE, bytes, 0, lost.blockNr());
        return bytes;
    }

    /** Whether more references to a block are stored than were found. */
    private boolean isMissed(int b) {
        return counts.count(b) > table.references(b);
    }

    private void findChildren() {
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
                List<Integer> loose = looseBlocks.computeIfAbsent(content, any -> new ArrayList<>());
                if (loose.size() < 2) {
                    loose.add(b);
                }
            } else if (load(b)) {
                Child child = child(b);
                if (child != null) {
                    children.add(child);
                }
            }
        }
    }

    /** Loads a node of any tree; returns whether it is one, and has entries. */
    private boolean load(long blockNr) {
        if (!table.isUsable(blockNr)
                || Seen.code(reader.seen(blockNr)) != Seen.NODE
                || reader.tryRead(blockNr, block) != null) {
            return false;
        }
        node.wrap(block, 0);
        return (node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES) || node.hasSaneShape(WritesetValue.BYTES))
                && node.nrEntries() > 0;
    }

    private void refer(BitSet referred) {
        for (int i = 0; i < node.nrEntries(); i++) {
            // A writeset's value ends in its root.
            long b = block.getLong(node.valueOffset(i) + node.valueSize() - Long.BYTES);
            if (table.isUsable(b)) {
                referred.set((int) b);
            }
        }
    }

    private Content contentOfBlock(long blockNr) {
        if (!table.isUsable(blockNr)) {
            return null;
        }
        return switch (Seen.code(reader.seen(blockNr))) {
            case Seen.ERAS, Seen.ERAS_ABOVE_CURRENT -> Content.ERAS;
            case Seen.WORDS -> Content.WORDS;
            default -> null;
        };
    }

    /** What is below {@code root}, or null when that can't be told. */
    private Child child(int root) {
        if (!load(root)) {
            return null;
        }
        long low = node.key(0);
        int height = 0;
        while (node.isInternal()) {
            if (++height == DEEPEST || !load(node.valueLong(0))) {
                return null;
            }
        }
        Content content = node.valueSize() == WritesetValue.BYTES ? Content.WRITESETS : null;
        for (int i = 0; content == null && i < node.nrEntries(); i++) {
            content = contentOfBlock(node.valueLong(i));
        }
        if (content == null || !load(root)) {
            return null;
        }
        for (int depth = 0; node.isInternal(); depth++) {
            if (depth == DEEPEST || !load(node.valueLong(node.nrEntries() - 1))) {
                return null;
            }
        }
        return new Child(root, content, low, node.key(node.nrEntries() - 1), height);
    }
}
