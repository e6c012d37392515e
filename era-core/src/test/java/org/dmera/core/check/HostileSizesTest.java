// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.FaultyBlockDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sizes that can't be are damage, said before anybody makes room for them; what is there bounds what it costs. */
class HostileSizesTest {
    private static final int MANY = 8192;
    private static final long MIB = 1 << 20;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private interface Work {
        void run() throws IOException;
    }

    private long allocatedBytes(Work work) throws IOException {
        long before = threads.getCurrentThreadAllocatedBytes();
        work.run();
        return threads.getCurrentThreadAllocatedBytes() - before;
    }

    @Test
    void anOriginWhoseErasDoNotFitOnTheDeviceIsDamageForCheckAndReaders() throws IOException {
        for (long nrBlocks : new long[] {0x7FFFFFFFL, 0xFFFFFFFFL, 17 * 1018}) {
            MemoryBlockDevice device = with(16, superblock -> superblock.nrBlocks(nrBlocks));
            CheckReport report = MetadataChecker.check(device, CheckOptions.of(CheckOptions.Scope.SUPERBLOCK));
            assertEquals(1, report.count(DamageKind.BAD_FIELD), report::toString);
            long bytes = allocatedBytes(() -> {
                assertThrows(DamagedMetadataException.class, () -> MetadataRoots.read(device));
                MetadataChecker.check(device);
            });
            assertTrue(bytes < MIB, bytes + " bytes");
        }
        MetadataRoots.read(with(16, superblock -> {}));
    }

    @Test
    void anOriginLargerThanAnyDeviceIsRefusedByAllForItsBytesCanNotBeCounted() throws IOException {
        MemoryBlockDevice device =
                with(40, superblock -> superblock.nrBlocks(30_000).dataBlockSizeSectors(0xFFFFFFF8L));
        MetadataRoots.read(device);
        // More than 2^22 blocks of 2^32 sectors: the offsets of the last ones don't fit into 63 bits.
        MemoryBlockDevice larger =
                with(5000, superblock -> superblock.nrBlocks((1 << 22) + 1).dataBlockSizeSectors(0xFFFFFFF8L));
        assertThrows(DamagedMetadataException.class, () -> MetadataRoots.read(larger));
        CheckReport report = MetadataChecker.check(larger, CheckOptions.of(CheckOptions.Scope.SUPERBLOCK));
        assertEquals(1, report.count(DamageKind.BAD_FIELD), report::toString);
        assertThrows(
                IOException.class,
                () -> new MetadataBuilder(new MemoryBlockDevice(5000)).superblock(0xFFFFFFF8L, (1 << 22) + 1, 1));
    }

    @Test
    void salvageTakesTheEraArraysWordAgainstASizeThatCanNotBe() throws IOException {
        MemoryBlockDevice device = with(16, superblock -> superblock.nrBlocks(0x7FFFFFFFL));
        Salvage salvage = Salvage.open(device, SalvageHints.NONE);
        assertEquals(1000, salvage.nrBlocks());
        assertTrue(salvage.remarks().toString().contains("2147483647"), salvage.remarks()::toString);
        EraTruth content = new EraTruth();
        salvage.stream(content);
        assertEquals(1000, content.latest().length);
    }

    @Test
    void thousandsOfSuperblockCopiesCostTheCheckLittle() throws IOException {
        MemoryBlockDevice device = allUsed(1);
        ByteBuffer bytes = little(device);
        for (int at = MANY / 2; at < MANY; at++) {
            bytes.put(at * 4096, bytes, 0, 4096);
            new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, at * 4096, at);
        }
        long allocated = allocatedBytes(() -> MetadataChecker.check(device));
        assertTrue(allocated < 6 * MIB, allocated + " bytes for a device of " + MANY + " blocks");
    }

    @Test
    void aRefCountTreeOfAMillionEntriesCostsTheCheckLittle() throws IOException {
        MemoryBlockDevice device = allUsed(BitmapBlock.SEE_TREE);
        ByteBuffer bytes = little(device);
        BlockSeal seal = new BlockSeal();
        Superblock superblock = new Superblock().wrap(bytes, 0);
        int root = MANY / 2;
        BTreeNode inner = new BTreeNode().format(bytes, root * 4096, true, BTreeNode.BLOCK_VALUE_BYTES);
        // A root of 252 entries, each a node of 12 leaves with 336 entries of three and more.
        int at = root + 1;
        long key = 0;
        for (int i = 0; i < 252; i++) {
            int middle = at++;
            BTreeNode node = new BTreeNode().format(bytes, middle * 4096, true, BTreeNode.BLOCK_VALUE_BYTES);
            long first = key;
            for (int j = 0; j < 12; j++) {
                BTreeNode leaf = new BTreeNode().format(bytes, at * 4096, false, Integer.BYTES);
                leaf.nrEntries(336);
                node.nrEntries(j + 1);
                node.key(j, key);
                node.valueLong(j, at);
                for (int k = 0; k < 336; k++) {
                    leaf.key(k, key++);
                    leaf.valueInt(k, 3);
                }
                seal.seal(BlockType.BTREE_NODE, bytes, at * 4096, at++);
            }
            seal.seal(BlockType.BTREE_NODE, bytes, middle * 4096, middle);
            inner.nrEntries(i + 1);
            inner.key(i, first);
            inner.valueLong(i, middle);
        }
        seal.seal(BlockType.BTREE_NODE, bytes, root * 4096, root);
        superblock.spaceMapRoot(MANY, MANY, superblock.spaceMapBitmapRoot(), root);
        seal.seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        long[] stale = new long[1];
        long allocated =
                allocatedBytes(() -> stale[0] = MetadataChecker.check(device).count(DamageKind.REF_COUNT_STALE));
        assertEquals(key - MANY, stale[0], "entries for blocks that the device doesn't have");
        assertTrue(allocated < 6 * MIB, allocated + " bytes for " + key + " entries");
    }

    /** Two hundred nodes, each of whose entries leads to the same block: one that others use too, or none of theirs. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void howeverManyReferencesLeadToABlockItIsReadOnceForThem(boolean isNode) throws IOException {
        MemoryBlockDevice device = with(512, superblock -> {});
        ByteBuffer bytes = little(device);
        Superblock superblock = new Superblock().wrap(bytes, 0);
        int root = 256;
        long target = isNode ? root + 1 : superblock.eraArrayRoot();
        long key = 0;
        BTreeNode top = new BTreeNode().format(bytes, root * 4096, true, BTreeNode.BLOCK_VALUE_BYTES);
        BlockSeal seal = new BlockSeal();
        for (int i = 0; i < 200; i++) {
            top.nrEntries(i + 1);
            top.key(i, key);
            top.valueLong(i, root + 1 + i);
            BTreeNode node = new BTreeNode().format(bytes, (root + 1 + i) * 4096, isNode, BTreeNode.BLOCK_VALUE_BYTES);
            node.nrEntries(252);
            for (int j = 0; j < 252; j++) {
                node.key(j, key++);
                node.valueLong(j, target);
            }
            seal.seal(BlockType.BTREE_NODE, bytes, (root + 1 + i) * 4096, root + 1 + i);
        }
        seal.seal(BlockType.BTREE_NODE, bytes, root * 4096, root);
        superblock.eraArrayRoot(root);
        superblock.nrBlocks(500_000);
        seal.seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        FaultyBlockDevice counting = new FaultyBlockDevice(device);
        assertFalse(MetadataChecker.check(counting).isClean());
        assertTrue(counting.blocksRead() < 600, counting.blocksRead() + " reads");
    }

    /** Metadata of 1000 origin blocks whose superblock is then changed, and sealed again. */
    private static MemoryBlockDevice with(int blocks, Consumer<Superblock> change) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(blocks);
        MetadataBuilder builder = new MetadataBuilder(device);
        builder.superblock(8, 1000, 9);
        builder.beginEraArray();
        builder.eras(0, ByteBuffer.allocate(4000).order(ByteOrder.LITTLE_ENDIAN), 0, 1000);
        builder.endEraArray();
        builder.end();
        change.accept(new Superblock().wrap(little(device), 0));
        new BlockSeal().seal(BlockType.SUPERBLOCK, little(device), 0, 0);
        return device;
    }

    /** A device of {@link #MANY} blocks, all of which the space map counts {@code count} times. */
    private static MemoryBlockDevice allUsed(int count) throws IOException {
        MemoryBlockDevice device = with(MANY, superblock -> {});
        ByteBuffer bytes = little(device);
        Superblock superblock = new Superblock().wrap(bytes, 0);
        int index = (int) superblock.spaceMapBitmapRoot();
        IndexBlock entries = new IndexBlock().wrap(bytes, index * 4096);
        int block = (int) entries.bitmapBlock(0);
        BitmapBlock bitmap = new BitmapBlock().wrap(bytes, block * 4096);
        for (int b = 0; b < MANY; b++) {
            bitmap.count(b, count);
        }
        entries.entry(0, block, bitmap.countFree(), 0);
        BlockSeal seal = new BlockSeal();
        seal.seal(BlockType.BITMAP, bytes, block * 4096, block);
        seal.seal(BlockType.INDEX, bytes, index * 4096, index);
        superblock.spaceMapRoot(MANY, MANY, index, superblock.spaceMapRefCountRoot());
        seal.seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        return device;
    }

    private static ByteBuffer little(MemoryBlockDevice device) {
        return ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    }
}
