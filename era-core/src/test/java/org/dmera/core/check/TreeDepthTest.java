// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Readers;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Trees that are as deep as they can be, and deeper: the check and every reader draw the line in the same place. */
class TreeDepthTest {
    private static final int BLOCKS = 256;

    enum Tree {
        WRITESETS,
        CURRENT_WRITESET,
        ERA_ARRAY,
        ARCHIVED_WRITESET
    }

    /** Where the root of a tree is stored: its byte offset on the device. */
    private static int place(Tree tree, ByteBuffer bytes) {
        return switch (tree) {
            case WRITESETS -> Superblock.WRITESET_TREE_ROOT;
            case CURRENT_WRITESET -> Superblock.CURRENT_WRITESET_ROOT;
            case ERA_ARRAY -> Superblock.ERA_ARRAY_ROOT;
            case ARCHIVED_WRITESET -> {
                int leaf = (int) bytes.getLong(Superblock.WRITESET_TREE_ROOT) * 4096;
                yield new BTreeNode().wrap(bytes, leaf).valueOffset(0) + WritesetValue.BYTES - Long.BYTES;
            }
        };
    }

    @ParameterizedTest
    @EnumSource(Tree.class)
    void everyDepthThatTheCheckFindsCleanIsReadByAll(Tree tree) throws IOException, RefusedException {
        for (int levels = 1;
                levels <= Limits.MAX_TREE_LEVELS;
                levels += levels < 15 || levels > 25 && levels < 60 ? 7 : 1) {
            MemoryBlockDevice device = made();
            EraTruth truth = new EraTruth();
            MetadataScanner.scan(device, MetadataRoots.read(device), truth);
            deepen(device, tree, levels);
            SpaceMapRepair.repair(device, MetadataChecker.check(device));
            Readers.assertCleanAndReadAlike(device, truth.latest(), tree + ", " + levels + " levels");
        }
    }

    @ParameterizedTest
    @EnumSource(Tree.class)
    void oneLevelMoreIsDamageForAll(Tree tree) throws IOException, RefusedException {
        MemoryBlockDevice device = made();
        deepen(device, tree, Limits.MAX_TREE_LEVELS + 1);
        CheckReport report = MetadataChecker.check(device);
        assertEquals(1, report.count(DamageKind.TOO_DEEP), report::toString);
        MetadataRoots roots = MetadataRoots.read(device);
        assertThrows(DamagedMetadataException.class, () -> MetadataScanner.scan(device, roots, new EraTruth()));
        EraMetadata metadata = EraMetadata.open(device, 8, 64);
        assertThrows(DamagedMetadataException.class, () -> metadata.readEras(0, 1000, new int[1000], 0));
    }

    private static MemoryBlockDevice made() throws IOException, RefusedException {
        MemoryBlockDevice device = new MemoryBlockDevice(BLOCKS);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8, 64);
        metadata.resize(1000);
        for (int era = 1; era <= 3; era++) {
            metadata.rollover();
            metadata.mark(7 * era);
            metadata.mark(999 - era);
            metadata.commit();
        }
        return device;
    }

    /** Puts nodes of one entry above the root, until the tree has {@code levels}. */
    private static void deepen(MemoryBlockDevice device, Tree tree, int levels) {
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        int place = place(tree, bytes);
        BlockSeal seal = new BlockSeal();
        // The engine has used blocks of the beginning only.
        for (int level = 1, at = BLOCKS - 1; level < levels; level++, at--) {
            long root = bytes.getLong(place);
            BTreeNode below = new BTreeNode().wrap(bytes, (int) root * 4096);
            long low = below.key(0);
            BTreeNode node = new BTreeNode().format(bytes, at * 4096, true, BTreeNode.BLOCK_VALUE_BYTES);
            node.nrEntries(1);
            node.key(0, low);
            node.valueLong(0, root);
            seal.seal(BlockType.BTREE_NODE, bytes, at * 4096, at);
            bytes.putLong(place, at);
        }
        int sealed = place / 4096;
        seal.seal(sealed == 0 ? BlockType.SUPERBLOCK : BlockType.BTREE_NODE, bytes, sealed * 4096, sealed);
    }
}
