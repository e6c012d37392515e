// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.DamageLog.LostNode;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.UnclaimedParts.Subtree;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockSource;

/** Makes lost btree nodes anew, each from the children that it has left behind. No child goes to two nodes. */
final class NodeRebuilder {
    private final BlockReader reader;
    private final UnclaimedParts missed;
    private final Superblock superblock;
    private final Set<Integer> adopted = new HashSet<>();

    NodeRebuilder(BlockReader reader, UnclaimedParts missed, Superblock superblock) {
        this.reader = reader;
        this.missed = missed;
        this.superblock = superblock;
    }

    /** The block as it was, or may have been; null when that isn't known. */
    ByteBuffer rebuilt(LostNode lost) {
        ByteBuffer rebuilt = corrected(lost);
        return rebuilt == null ? fromChildren(lost) : rebuilt;
    }

    /** The node as it was, if a single bit has flipped. */
    private ByteBuffer corrected(LostNode lost) {
        ByteBuffer copy = BlockReader.newBuffer();
        boolean corrected = reader.tryRead(lost.at().blockNr(), copy) == null
                && !BlockSource.isZero(copy)
                && BitFlip.correct(copy, BlockType.BTREE_NODE, lost.at().blockNr())
                && new BTreeNode().wrap(copy, 0).hasSaneShape(lost.tree().valueBytes());
        return corrected ? copy : null;
    }

    private ByteBuffer fromChildren(LostNode lost) {
        Content content = Content.of(lost.tree());
        List<Subtree> found = missed.subtrees(content).stream()
                .filter(subtree -> Long.compareUnsigned(subtree.low(), lost.at().low()) >= 0
                        && Long.compareUnsigned(subtree.high(), lost.at().last()) <= 0)
                .toList();
        if (found.isEmpty() && lost.isWholeTree()) {
            return content == Content.WRITESETS ? leafOfWritesets(lost) : leafOfOneBlock(content, lost);
        }
        return isOneNode(found) ? node(true, found, lost) : null;
    }

    private ByteBuffer leafOfOneBlock(Content content, LostNode lost) {
        List<Integer> unattached = missed.unattached(content);
        if (unattached.size() != 1 || !adopted.add(unattached.get(0))) {
            return null;
        }
        return node(false, List.of(new Subtree(unattached.get(0), content, 0, 0, 0)), lost);
    }

    /**
     * A single bitset that nobody refers to is the writeset of the era that was archived last, for the others have been
     * digested in order. Its size has to be that of the origin, or the check that follows will not agree. When there is no
     * such bitset, the tree was empty.
     */
    private ByteBuffer leafOfWritesets(LostNode lost) {
        BTreeNode leaf = new BTreeNode().format(BlockReader.newBuffer(), 0, false, WritesetValue.BYTES);
        if (missed.isEmpty()) {
            return sealed(leaf, lost);
        }
        List<Subtree> bitsets = missed.subtrees(Content.WORDS);
        long era = superblock.currentEra() - (superblock.hasCurrentWriteset() ? 1 : 0);
        if (bitsets.size() != 1 || era < 0 || !adopted.add(bitsets.get(0).blockNr())) {
            return null;
        }
        leaf.nrEntries(1);
        leaf.key(0, era);
        int root = bitsets.get(0).blockNr();
        WritesetValue.put(leaf.buffer(), leaf.valueOffset(0), superblock.nrBlocks(), root);
        return sealed(leaf, lost);
    }

    /** Whether these can be the children of one node: keys without a gap, which arrays and eras never have. */
    private boolean isOneNode(List<Subtree> found) {
        if (found.isEmpty() || found.size() > BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES)) {
            return false;
        }
        for (int i = 0; i < found.size(); i++) {
            Subtree child = found.get(i);
            if (!adopted.add(child.blockNr())
                    || child.height() != found.get(0).height()
                    || i > 0 && child.low() != found.get(i - 1).high() + 1) {
                return false;
            }
        }
        return true;
    }

    /** A node that leads to {@code children}: each under its lowest key. */
    private static ByteBuffer node(boolean isInternal, List<Subtree> children, LostNode lost) {
        BTreeNode node = new BTreeNode().format(BlockReader.newBuffer(), 0, isInternal, BTreeNode.BLOCK_VALUE_BYTES);
        node.nrEntries(children.size());
        for (int i = 0; i < children.size(); i++) {
            node.key(i, children.get(i).low());
            node.valueLong(i, children.get(i).blockNr());
        }
        return sealed(node, lost);
    }

    private static ByteBuffer sealed(BTreeNode node, LostNode lost) {
        new BlockSeal().seal(BlockType.BTREE_NODE, node.buffer(), 0, lost.at().blockNr());
        return node.buffer();
    }
}
