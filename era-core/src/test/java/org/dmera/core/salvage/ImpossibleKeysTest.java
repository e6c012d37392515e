// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.Anatomy;
import org.dmera.testkit.Anatomy.Part;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.GeneratedMetadata;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys and references under valid seals that no metadata has: they cost salvaging neither marks, nor memory or time without end. */
class ImpossibleKeysTest {
    private static final long PAST_ANY_ARRAY = (1L << 32) - 16;
    private static final long TOO_MUCH_FOR_MEMORY = (1L << 31) - 16;

    private static EraTruth salvage(BlockDevice device, SalvageHints hints) throws IOException {
        EraTruth content = new EraTruth();
        Salvage.open(device, hints).stream(content);
        return content;
    }

    private static BTreeNode node(byte[] image, int blockNr) {
        return new BTreeNode().wrap(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), blockNr * 4096);
    }

    private static void seal(byte[] image, BlockType type, int blockNr) {
        new BlockSeal().seal(type, ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), blockNr * 4096, blockNr);
    }

    private static void zero(byte[] image, int blockNr) {
        Arrays.fill(image, blockNr * 4096, blockNr * 4096 + 4096, (byte) 0);
    }

    /** Whether a block is missing, or all from there on are in the places of others, nothing tells. */
    @ParameterizedTest
    @ValueSource(ints = {0, 2, 3, 4})
    void keysThatHaveSlippedTowardsTheEndLoseNoMark(int first) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(32);
        MetadataBuilder builder = new MetadataBuilder(device);
        ByteBuffer eras = ByteBuffer.allocate(5000 * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 5000; i++) {
            eras.putInt(i * Integer.BYTES, i + 1);
        }
        builder.superblock(8, 5000, 5000);
        builder.beginEraArray();
        builder.eras(0, eras, 0, 5000);
        builder.endEraArray();
        builder.end();
        EraTruth truth = salvage(device, SalvageHints.NONE);
        byte[] image = device.bytes();
        int root = (int) new Superblock()
                .wrap(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), 0)
                .eraArrayRoot();
        BTreeNode leaf = node(image, root);
        for (int i = first; i < leaf.nrEntries(); i++) {
            leaf.key(i, leaf.key(i) + 1);
        }
        seal(image, BlockType.BTREE_NODE, root);
        assertEquals(0, truth.lostIn(salvage(device, SalvageHints.NONE)));
    }

    @ParameterizedTest
    @ValueSource(longs = {PAST_ANY_ARRAY, TOO_MUCH_FOR_MEMORY})
    void anEraArrayThatSeemsToGoOnForEverIsAskedForWhenTheSuperblockIsLost(long key) throws IOException {
        byte[] image = GeneratedMetadata.wide();
        EraTruth truth = salvage(new MemoryBlockDevice(image), SalvageHints.NONE);
        int root = (int) new Superblock()
                .wrap(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), 0)
                .eraArrayRoot();
        int last = node(image, root).nrEntries() - 1;
        int lastLeaf = (int) node(image, root).valueLong(last);
        zero(image, (int) node(image, root).valueLong(last - 1));
        node(image, root).key(last, key);
        for (int i = 0; i < node(image, lastLeaf).nrEntries(); i++) {
            node(image, lastLeaf).key(i, key + i);
        }
        seal(image, BlockType.BTREE_NODE, root);
        seal(image, BlockType.BTREE_NODE, lastLeaf);
        zero(image, 0);

        SalvageHints unknownSize = new SalvageHints(8, -1, truth.currentEra());
        String refusal = assertThrows(IOException.class, () -> salvage(new MemoryBlockDevice(image), unknownSize))
                .getMessage();
        assertTrue(refusal.contains("--nr-blocks"), refusal);
        SalvageHints known = new SalvageHints(8, truth.latest().length, truth.currentEra());
        assertEquals(0, truth.lostIn(salvage(new MemoryBlockDevice(image), known)));
    }

    @ParameterizedTest
    @ValueSource(longs = {PAST_ANY_ARRAY, TOO_MUCH_FOR_MEMORY})
    void aBitsetThatNothingLeadsToCountsWholeWhereItsKeysAreThoseOfNoArray(long key) throws IOException {
        byte[] image = GeneratedMetadata.wide();
        EraTruth truth = salvage(new MemoryBlockDevice(image), SalvageHints.NONE);
        Superblock superblock = new Superblock().wrap(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), 0);
        int root = (int) superblock.currentWritesetRoot();
        superblock.currentWriteset(superblock.currentWritesetNrBits(), 0);
        seal(image, BlockType.SUPERBLOCK, 0);
        node(image, root).key(node(image, root).nrEntries() - 1, key);
        seal(image, BlockType.BTREE_NODE, root);

        assertEquals(0, truth.lostIn(salvage(new MemoryBlockDevice(image), SalvageHints.NONE)));
    }

    @Test
    void partsThatNothingLeadsToTakeRoomForWhatIsInThemHoweverHighTheirKeys() throws IOException {
        byte[] image = Arrays.copyOf(GeneratedMetadata.wide(), 4096 * 4096);
        EraTruth truth = salvage(new MemoryBlockDevice(image), SalvageHints.NONE);
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        int words = new Anatomy(image).parts(Role.WRITESET_BLOCK).get(0).blockNr();
        for (int b = 1024; b < 4096; b++) {
            BTreeNode leaf = new BTreeNode().format(bytes, b * 4096, false, BTreeNode.BLOCK_VALUE_BYTES);
            leaf.nrEntries(1);
            leaf.key(0, Limits.MAX_ARRAY_BLOCKS - 1);
            leaf.valueLong(0, words);
            seal(image, BlockType.BTREE_NODE, b);
            count(image, b, 1);
        }

        assertEquals(0, truth.lostIn(salvage(new MemoryBlockDevice(image), SalvageHints.NONE)));
    }

    @Test
    void nodesThatLeadToTheSameNodesOverAndOverAreLookedAtOnce() throws IOException {
        byte[] image = Arrays.copyOf(GeneratedMetadata.wide(), 1100 * 4096);
        EraTruth truth = salvage(new MemoryBlockDevice(image), SalvageHints.NONE);
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        int broken = 1090;
        count(image, broken, BitmapBlock.SEE_TREE);
        for (int b = 1040; b < broken; b++) {
            BTreeNode node = new BTreeNode().format(bytes, b * 4096, b + 1 < broken, BTreeNode.BLOCK_VALUE_BYTES);
            node.nrEntries(node.maxEntries());
            for (int i = 0; i < node.nrEntries(); i++) {
                node.key(i, i);
                node.valueLong(i, b + 1);
            }
            seal(image, BlockType.BTREE_NODE, b);
            count(image, b, b == 1040 ? 1 : BitmapBlock.SEE_TREE);
        }
        zero(image, 0);

        SalvageHints known = new SalvageHints(8, truth.latest().length, truth.currentEra());
        EraTruth now =
                assertTimeoutPreemptively(Duration.ofMinutes(2), () -> salvage(new MemoryBlockDevice(image), known));
        assertEquals(0, truth.lostIn(now));
    }

    /** Counts a block in the space map, and all that has to agree with it. */
    private static void count(byte[] image, int blockNr, int count) {
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        Superblock superblock = new Superblock().wrap(bytes, 0);
        int index = (int) superblock.spaceMapBitmapRoot();
        IndexBlock entries = new IndexBlock().wrap(bytes, index * 4096);
        int bitmapBlock = (int) entries.bitmapBlock(0);
        BitmapBlock bitmap = new BitmapBlock().wrap(bytes, bitmapBlock * 4096);
        bitmap.count(blockNr, count);
        int free = bitmap.countFree();
        entries.entry(0, bitmapBlock, free, entries.noneFreeBefore(0));
        superblock.spaceMapRoot(
                image.length / 4096, BitmapBlock.ENTRIES - free, index, superblock.spaceMapRefCountRoot());
        seal(image, BlockType.BITMAP, bitmapBlock);
        seal(image, BlockType.INDEX, index);
        seal(image, BlockType.SUPERBLOCK, 0);
    }

    @Test
    void aSpaceMapIndexThatLeadsNowhereBehindItsEndIsAStateAllTheSame() throws IOException {
        byte[] image = GeneratedMetadata.wide();
        EraTruth truth = salvage(new MemoryBlockDevice(image), SalvageHints.NONE);
        List<Part> index = new Anatomy(image).parts(Role.INDEX);
        int blockNr = index.get(0).blockNr();
        IndexBlock entries =
                new IndexBlock().wrap(ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN), blockNr * 4096);
        entries.entry(2, 1L << 31, 0, 0);
        seal(image, BlockType.INDEX, blockNr);
        zero(image, 0);

        SalvageHints known = new SalvageHints(8, truth.latest().length, truth.currentEra());
        assertEquals(0, truth.lostIn(salvage(new Grown(image), known)));
    }

    /** A device that has grown since: what is behind {@code image} has never been written. */
    private static final class Grown implements BlockDevice {
        private final MemoryBlockDevice image;

        Grown(byte[] image) {
            this.image = new MemoryBlockDevice(image);
        }

        @Override
        public long sizeBlocks() {
            return 40_000;
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            int blocks = dst.remaining() / BLOCK_BYTES;
            for (int i = 0; i < blocks; i++) {
                if (firstBlock + i < image.sizeBlocks()) {
                    image.read(firstBlock + i, dst.limit(dst.position() + BLOCK_BYTES));
                } else {
                    dst.limit(dst.position() + BLOCK_BYTES).put(new byte[BLOCK_BYTES]);
                }
            }
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            throw new IOException("only read");
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }
}
