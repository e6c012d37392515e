// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.repair.SpaceMapRepair;

/** Sound metadata that no kernel has made: trees deeper than any that fits in a fixture, and several bitmaps. */
public final class GeneratedMetadata {
    private static final int FAN_OUT = 3;
    private static final int ORIGIN_BLOCKS = 170_000;
    private static final int WIDE_ORIGIN_BLOCKS = 260_000;

    private GeneratedMetadata() {}

    /** Built in bulk, gone on with by the engine, and then every tree of three entries a node: four and more levels. */
    public static byte[] deep() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(1024);
        Random random = new Random(5);
        build(new MetadataBuilder(device), random, ORIGIN_BLOCKS, 11);
        goOn(device, random, ORIGIN_BLOCKS);
        byte[] image = device.bytes().clone();
        new Deepener(image).run();
        MemoryBlockDevice deep = new MemoryBlockDevice(image);
        CheckReport report = MetadataChecker.check(deep);
        SpaceMapRepair.repair(deep, report);
        return image;
    }

    /** An origin so large that the era array's root is an internal node, all nodes as full as others make them. */
    public static byte[] wide() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(1024);
        Random random = new Random(7);
        build(new MetadataBuilder(device), random, WIDE_ORIGIN_BLOCKS, 3);
        goOn(device, random, WIDE_ORIGIN_BLOCKS);
        return device.bytes().clone();
    }

    private static void goOn(MemoryBlockDevice device, Random random, int originBlocks) throws IOException {
        EraMetadata metadata = EraMetadata.open(device, 8, 64);
        metadata.rollover();
        for (int i = 0; i < 200; i++) {
            metadata.mark(random.nextInt(originBlocks));
        }
        metadata.commit();
    }

    /** Eras 1 to 20 digested, sparse writesets from 21 on. */
    private static void build(MetadataBuilder builder, Random random, int originBlocks, int writesets)
            throws IOException {
        ByteBuffer words = ByteBuffer.allocate((originBlocks + 63) / 64 * 8).order(ByteOrder.LITTLE_ENDIAN);
        builder.superblock(8, originBlocks, 20 + writesets);
        for (int era = 21; era <= 20 + writesets; era++) {
            for (int i = 0; i < words.capacity(); i++) {
                words.put(i, (byte) 0);
            }
            for (int i = 0; i < 300; i++) {
                int block = random.nextInt(originBlocks);
                words.put(block / 8, (byte) (words.get(block / 8) | 1 << block % 8));
            }
            builder.beginWriteset(era, originBlocks);
            builder.words(0, words, 0, words.capacity() / 8);
            builder.endWriteset();
        }
        ByteBuffer eras = ByteBuffer.allocate(originBlocks * 4).order(ByteOrder.LITTLE_ENDIAN);
        while (eras.hasRemaining()) {
            eras.putInt(random.nextInt(21));
        }
        builder.beginEraArray();
        builder.eras(0, eras, 0, originBlocks);
        builder.endEraArray();
        builder.end();
    }

    /** Written by the engine until its allocations have passed into the second bitmap: parts lie on either side. */
    public static byte[] acrossBitmaps() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(BitmapBlock.ENTRIES + 400);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8, 256);
        Random random = new Random(6);
        metadata.resize(20_000);
        metadata.newEra();
        metadata.commit();
        ByteBuffer head = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        Superblock superblock = new Superblock().wrap(head, 0);
        while (superblock.spaceMapBitmapRoot() < BitmapBlock.ENTRIES + 50) {
            for (int i = 0; i < 20; i++) {
                metadata.mark(random.nextInt(20_000));
            }
            if (metadata.stats().usedBlocks() < 60) {
                metadata.rollover();
            }
            metadata.commit();
        }
        return device.bytes().clone();
    }

    /** Gives every tree new nodes of {@link #FAN_OUT} entries, in free blocks; the counts are then all wrong. */
    private static final class Deepener {
        private final ByteBuffer bytes;
        private final Superblock superblock;
        private int cursor;

        Deepener(byte[] image) {
            bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
            superblock = new Superblock().wrap(bytes, 0);
            // Nothing that hands out blocks leaves any between them that has never been written.
            cursor = image.length / BlockDevice.BLOCK_BYTES;
            while (bytes.getLong((cursor - 1) * BlockDevice.BLOCK_BYTES) == 0) {
                cursor--;
            }
        }

        void run() {
            List<byte[]> writesets = new ArrayList<>();
            List<Long> eras = new ArrayList<>();
            collect(superblock.writesetTreeRoot(), WritesetValue.BYTES, eras, writesets);
            for (byte[] value : writesets) {
                ByteBuffer writeset = ByteBuffer.wrap(value).order(ByteOrder.LITTLE_ENDIAN);
                WritesetValue.put(
                        writeset, 0, WritesetValue.nrBits(writeset, 0), array(WritesetValue.root(writeset, 0)));
            }
            superblock.currentWriteset(superblock.currentWritesetNrBits(), array(superblock.currentWritesetRoot()));
            superblock.writesetTreeRoot(tree(eras, writesets));
            superblock.eraArrayRoot(array(superblock.eraArrayRoot()));
            new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        }

        private long array(long root) {
            List<byte[]> blocks = new ArrayList<>();
            List<Long> indexes = new ArrayList<>();
            collect(root, BTreeNode.BLOCK_VALUE_BYTES, indexes, blocks);
            return tree(indexes, blocks);
        }

        private void collect(long root, int valueBytes, List<Long> keys, List<byte[]> values) {
            BTreeNode node = new BTreeNode().wrap(bytes, (int) root * 4096);
            for (int i = 0; i < node.nrEntries(); i++) {
                if (node.isInternal()) {
                    collect(node.valueLong(i), valueBytes, keys, values);
                } else {
                    byte[] value = new byte[valueBytes];
                    bytes.get(node.valueOffset(i), value);
                    keys.add(node.key(i));
                    values.add(value);
                }
            }
        }

        private long tree(List<Long> leafKeys, List<byte[]> leafValues) {
            List<Long> keys = leafKeys;
            List<byte[]> values = leafValues;
            boolean internal = false;
            while (true) {
                List<Long> upperKeys = new ArrayList<>();
                List<byte[]> upperValues = new ArrayList<>();
                for (int from = 0; from < keys.size(); from += FAN_OUT) {
                    int to = Math.min(keys.size(), from + FAN_OUT);
                    upperKeys.add(keys.get(from));
                    long blockNr = write(internal, keys.subList(from, to), values.subList(from, to));
                    upperValues.add(ByteBuffer.allocate(8)
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .putLong(blockNr)
                            .array());
                }
                if (upperKeys.size() == 1) {
                    return ByteBuffer.wrap(upperValues.get(0))
                            .order(ByteOrder.LITTLE_ENDIAN)
                            .getLong();
                }
                keys = upperKeys;
                values = upperValues;
                internal = true;
            }
        }

        private long write(boolean internal, List<Long> keys, List<byte[]> values) {
            int blockNr = cursor++;
            int at = blockNr * 4096;
            BTreeNode node = new BTreeNode().format(bytes, at, internal, values.get(0).length);
            for (int i = 0; i < keys.size(); i++) {
                node.nrEntries(i + 1);
                node.key(i, keys.get(i));
                bytes.put(node.valueOffset(i), values.get(i));
            }
            new BlockSeal().seal(BlockType.BTREE_NODE, bytes, at, blockNr);
            return blockNr;
        }
    }
}
