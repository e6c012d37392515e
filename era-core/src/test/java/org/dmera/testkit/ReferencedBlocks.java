// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SortedMap;
import java.util.TreeMap;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/**
 * Every block that the superblock on a device reaches: in which structure it stands, and how many things refer to it.
 *
 * <p>It reads the device directly and shares no code with the transactional engine, so that it can be used to find that
 * engine's faults: counts and layout are derived from the format alone. It keeps an entry a block in memory; meant for
 * looking into metadata of ordinary size, not for bulk work.
 */
public final class ReferencedBlocks {
    /** Deeper than any tree of this format. */

    /** A block that is reached, and by how many. */
    public static final class Reached {
        private final String structure;
        private int references;

        private Reached(String structure) {
            this.structure = structure;
        }

        /** What it is, as in {@code era array, block 3}. */
        public String structure() {
            return structure;
        }

        /** How many things refer to it. */
        public int references() {
            return references;
        }

        @Override
        public String toString() {
            return structure + ", referred to " + references + " times";
        }
    }

    private interface Leaves {
        void value(long key, ByteBuffer node, int offset) throws IOException;
    }

    private final BlockDevice device;
    private final BlockSeal seal = new BlockSeal();
    private final SortedMap<Long, Reached> blocks = new TreeMap<>();

    private ReferencedBlocks(BlockDevice device) {
        this.device = device;
    }

    /**
     * Follows everything that the superblock refers to.
     *
     * @throws DamagedMetadataException when a block on the way is not what it should be
     */
    public static ReferencedBlocks of(BlockDevice device) throws IOException {
        ReferencedBlocks all = new ReferencedBlocks(device);
        all.fromSuperblock();
        return all;
    }

    /** The blocks reached, ascending. */
    public SortedMap<Long, Reached> blocks() {
        return blocks;
    }

    /** References to a block, 0 when it is not reached. */
    public int references(long block) {
        Reached reached = blocks.get(block);
        return reached == null ? 0 : reached.references;
    }

    private void fromSuperblock() throws IOException {
        Superblock sb = new Superblock().wrap(read(0, BlockType.SUPERBLOCK), 0);
        reach(0, "superblock");
        spaceMap(sb);
        writesetTree(sb.writesetTreeRoot(), "writeset tree");
        array(sb.eraArrayRoot(), "era array", ArrayBlock.ERA_BYTES);
        if (sb.currentWritesetRoot() != 0) {
            array(sb.currentWritesetRoot(), "current writeset", ArrayBlock.WORD_BYTES);
        }
        if (sb.metadataSnap() != 0) {
            Superblock copy = new Superblock().wrap(read(sb.metadataSnap(), BlockType.SUPERBLOCK), 0);
            reach(sb.metadataSnap(), "metadata snapshot's superblock");
            writesetTree(copy.writesetTreeRoot(), "metadata snapshot's writeset tree");
            array(copy.eraArrayRoot(), "metadata snapshot's era array", ArrayBlock.ERA_BYTES);
        }
    }

    private void spaceMap(Superblock sb) throws IOException {
        IndexBlock index = new IndexBlock().wrap(read(sb.spaceMapBitmapRoot(), BlockType.INDEX), 0);
        reach(sb.spaceMapBitmapRoot(), "space map index");
        for (int i = 0; (long) i * BitmapBlock.ENTRIES < sb.spaceMapNrBlocks() && i < IndexBlock.ENTRIES; i++) {
            read(index.bitmapBlock(i), BlockType.BITMAP);
            reach(index.bitmapBlock(i), "space map bitmap " + i);
        }
        tree(sb.spaceMapRefCountRoot(), "reference-count tree", 4, 0, (key, node, offset) -> {});
    }

    private void writesetTree(long root, String structure) throws IOException {
        tree(
                root,
                structure,
                WritesetValue.BYTES,
                0,
                (era, node, offset) ->
                        array(WritesetValue.root(node, offset), "writeset of era " + era, ArrayBlock.WORD_BYTES));
    }

    private void array(long root, String structure, int valueSize) throws IOException {
        tree(root, structure + ", index", BTreeNode.BLOCK_VALUE_BYTES, 0, (key, node, offset) -> {
            long block = node.getLong(offset);
            if (reach(block, structure + ", block " + key)) {
                ArrayBlock array = new ArrayBlock().wrap(read(block, BlockType.ARRAY_BLOCK), 0);
                if (!array.hasSaneShape(valueSize)) {
                    throw DamagedMetadataException.inBlock(
                            DamageKind.BAD_HEADER, block, structure, "impossible array block header");
                }
            }
        });
    }

    private void tree(long at, String structure, int valueSize, int depth, Leaves leaves) throws IOException {
        if (!reach(at, structure + (depth == 0 ? ", root" : ", node of level " + depth))) {
            return;
        }
        BTreeNode node = new BTreeNode().wrap(read(at, BlockType.BTREE_NODE), 0);
        if (!node.hasSaneShape(valueSize) || depth >= Limits.MAX_TREE_LEVELS) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.BAD_HEADER, at, structure, "impossible btree node header");
        }
        for (int i = 0; i < node.nrEntries(); i++) {
            if (node.isLeaf()) {
                leaves.value(node.key(i), node.buffer(), node.valueOffset(i));
            } else {
                tree(node.valueLong(i), structure, valueSize, depth + 1, leaves);
            }
        }
    }

    /** Counts a reference; true when it is the first, so that what the block refers to is to be followed. */
    private boolean reach(long block, String structure) {
        Reached reached = blocks.computeIfAbsent(block, b -> new Reached(structure));
        return ++reached.references == 1;
    }

    private ByteBuffer read(long number, BlockType type) throws IOException {
        ByteBuffer block = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        if (number < 0 || number >= device.sizeBlocks()) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.OUT_OF_RANGE, number, type.label(), "it lies outside the device");
        }
        device.read(number, block);
        BlockSeal.Verdict verdict = seal.verify(type, block, 0, number);
        if (verdict != BlockSeal.Verdict.OK) {
            throw DamagedMetadataException.inBlock(DamageKind.BAD_CHECKSUM, number, type.label(), verdict.toString());
        }
        return block;
    }
}
