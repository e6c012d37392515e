// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/**
 * Which block of sound metadata is what: for tests that damage a part on purpose. Written independently of the checker,
 * and only for metadata that is known to be sound.
 */
public final class Anatomy {
    /** What a block is part of. */
    public enum Role {
        SUPERBLOCK,
        SNAPSHOT,
        INDEX,
        BITMAP,
        REF_COUNT_TREE,
        WRITESET_TREE,
        WRITESET_NODE,
        WRITESET_BLOCK,
        CURRENT_NODE,
        CURRENT_BLOCK,
        ERA_NODE,
        ERA_BLOCK,
        SNAPSHOT_TREES
    }

    /**
     * A block and its part.
     *
     * @param originBlocks origin blocks whose marks hang on it: all that damage of it may widen
     */
    public record Part(Role role, int blockNr, BlockType type, long originBlocks) {}

    private final ByteBuffer bytes;
    private final List<Part> parts = new ArrayList<>();
    private final boolean[] met;
    private final long nrBlocks;

    /** The parts of the metadata in {@code image}. */
    public Anatomy(byte[] image) {
        bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        met = new boolean[image.length / 4096];
        Superblock sb = new Superblock().wrap(bytes, 0);
        nrBlocks = sb.nrBlocks();
        add(Role.SUPERBLOCK, 0, BlockType.SUPERBLOCK, 0);
        IndexBlock index = new IndexBlock().wrap(bytes, at(sb.spaceMapBitmapRoot()));
        add(Role.INDEX, sb.spaceMapBitmapRoot(), BlockType.INDEX, 0);
        for (int i = 0; (long) i * BitmapBlock.ENTRIES < sb.spaceMapNrBlocks(); i++) {
            add(Role.BITMAP, index.bitmapBlock(i), BlockType.BITMAP, 0);
        }
        add(Role.REF_COUNT_TREE, sb.spaceMapRefCountRoot(), BlockType.BTREE_NODE, 0);
        writesets(sb.writesetTreeRoot(), false);
        if (sb.currentWritesetRoot() != 0) {
            array(sb.currentWritesetRoot(), Role.CURRENT_NODE, Role.CURRENT_BLOCK, 64 * ArrayBlock.WORDS_PER_BLOCK);
        }
        array(sb.eraArrayRoot(), Role.ERA_NODE, Role.ERA_BLOCK, ArrayBlock.ERAS_PER_BLOCK);
        if (sb.metadataSnap() != 0) {
            add(Role.SNAPSHOT, sb.metadataSnap(), BlockType.SUPERBLOCK, 0);
            Superblock copy = new Superblock().wrap(bytes, at(sb.metadataSnap()));
            writesets(copy.writesetTreeRoot(), true);
            array(copy.eraArrayRoot(), Role.SNAPSHOT_TREES, Role.SNAPSHOT_TREES, 0);
        }
    }

    /** Every block that the metadata uses, once. */
    public List<Part> parts() {
        return parts;
    }

    /** The blocks of one role. */
    public List<Part> parts(Role role) {
        return parts.stream().filter(p -> p.role() == role).toList();
    }

    /** A block that nothing uses. */
    public int freeBlock() {
        for (int b = met.length / 2; b < met.length; b++) {
            if (!met[b]) {
                return b;
            }
        }
        throw new IllegalStateException("no free block in the upper half");
    }

    private static int at(long blockNr) {
        return Math.toIntExact(blockNr * 4096);
    }

    private boolean add(Role role, long blockNr, BlockType type, long originBlocks) {
        if (met[(int) blockNr]) {
            return false;
        }
        met[(int) blockNr] = true;
        parts.add(new Part(role, (int) blockNr, type, Math.min(originBlocks, nrBlocks)));
        return true;
    }

    private void writesets(long root, boolean snapshot) {
        if (!add(snapshot ? Role.SNAPSHOT_TREES : Role.WRITESET_TREE, root, BlockType.BTREE_NODE, nrBlocks)) {
            return;
        }
        BTreeNode node = new BTreeNode().wrap(bytes, at(root));
        for (int i = 0; i < node.nrEntries(); i++) {
            if (node.isInternal()) {
                writesets(node.valueLong(i), snapshot);
            } else {
                array(
                        WritesetValue.root(bytes, node.valueOffset(i)),
                        snapshot ? Role.SNAPSHOT_TREES : Role.WRITESET_NODE,
                        snapshot ? Role.SNAPSHOT_TREES : Role.WRITESET_BLOCK,
                        64 * ArrayBlock.WORDS_PER_BLOCK);
            }
        }
    }

    private void array(long root, Role nodes, Role blocks, long originPerBlock) {
        BTreeNode node = new BTreeNode().wrap(bytes, at(root));
        if (!add(nodes, root, BlockType.BTREE_NODE, arrayBlocks(root) * originPerBlock)) {
            return;
        }
        for (int i = 0; i < node.nrEntries(); i++) {
            if (node.isInternal()) {
                array(node.valueLong(i), nodes, blocks, originPerBlock);
            } else {
                add(blocks, node.valueLong(i), BlockType.ARRAY_BLOCK, originPerBlock);
            }
        }
    }

    /** Array blocks below a node. */
    private long arrayBlocks(long root) {
        BTreeNode node = new BTreeNode().wrap(bytes, at(root));
        if (node.isLeaf()) {
            return node.nrEntries();
        }
        long n = 0;
        for (int i = 0; i < node.nrEntries(); i++) {
            n += arrayBlocks(node.valueLong(i));
        }
        return n;
    }

    /** Whether a part is a node above other nodes. */
    public boolean isInterior(Part part) {
        return part.type() == BlockType.BTREE_NODE
                && new BTreeNode().wrap(bytes, at(part.blockNr())).isInternal();
    }
}
