// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.CacheSuperblock;

/** Writes dm-cache metadata of a test's making: superblock, mapping array, dirty bits. No space map, which no reader needs. */
public final class CacheImage {
    /** What a cache block holds. */
    public interface Contents {
        /** The origin block in {@code cacheBlock}, or −1 for none. */
        long originBlock(long cacheBlock);

        boolean isDirty(long cacheBlock);
    }

    private interface Words {
        long word(long index);
    }

    private final BlockDevice device;
    private final BlockSeal seal = new BlockSeal();
    private final ByteBuffer block =
            ByteBuffer.allocateDirect(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private long next = 1;

    private CacheImage(BlockDevice device) {
        this.device = device;
    }

    /** Metadata blocks that suffice for {@code cacheBlocks}. */
    public static long blocksFor(long cacheBlocks) {
        return cacheBlocks / 400 + 20;
    }

    /** Writes the metadata of a cache of {@code cacheBlocks} blocks of {@code blockSizeSectors}. */
    public static void write(
            BlockDevice device, int version, long blockSizeSectors, long cacheBlocks, boolean clean, Contents contents)
            throws IOException {
        new CacheImage(device).writeAll(version, blockSizeSectors, cacheBlocks, clean, contents);
    }

    private void writeAll(int version, long blockSizeSectors, long cacheBlocks, boolean clean, Contents contents)
            throws IOException {
        boolean bitset = version == CacheSuperblock.VERSION_DIRTY_BITSET;
        long mappings = array(cacheBlocks, cacheBlock -> {
            long origin = contents.originBlock(cacheBlock);
            return origin < 0 ? 0 : origin << 16 | 1 | (!bitset && contents.isDirty(cacheBlock) ? 2 : 0);
        });
        long dirty = bitset ? array((cacheBlocks + 63) / 64, index -> dirtyWord(index, cacheBlocks, contents)) : 0;
        clear();
        block.putInt(CacheSuperblock.FLAGS, clean ? CacheSuperblock.FLAG_CLEAN_SHUTDOWN : 0);
        block.putLong(CacheSuperblock.MAGIC_OFFSET, CacheSuperblock.MAGIC);
        block.putInt(CacheSuperblock.VERSION_OFFSET, version);
        block.putLong(CacheSuperblock.MAPPING_ROOT, mappings);
        block.putInt(CacheSuperblock.DATA_BLOCK_SIZE, (int) blockSizeSectors);
        block.putInt(CacheSuperblock.METADATA_BLOCK_SIZE, 8);
        block.putInt(CacheSuperblock.CACHE_BLOCKS, (int) cacheBlocks);
        block.putLong(CacheSuperblock.DIRTY_ROOT, dirty);
        sealSuperblock(block);
        device.write(0, block.clear());
    }

    /** Seals a superblock that a test has changed. */
    public static void sealSuperblock(ByteBuffer block) {
        block.putInt(0, new BlockSeal().unsaltedChecksum(block, 0) ^ CacheSuperblock.SALT);
    }

    private static long dirtyWord(long index, long cacheBlocks, Contents contents) {
        long word = 0;
        for (long b = 64 * index; b < Math.min(64 * index + 64, cacheBlocks); b++) {
            word |= contents.originBlock(b) >= 0 && contents.isDirty(b) ? 1L << b : 0;
        }
        return word;
    }

    private long array(long count, Words words) throws IOException {
        long blocks = (count + ArrayBlock.WORDS_PER_BLOCK - 1) / ArrayBlock.WORDS_PER_BLOCK;
        long first = next;
        for (long i = 0; i < blocks; i++) {
            clear();
            ArrayBlock array = new ArrayBlock().format(block, 0, ArrayBlock.WORD_BYTES);
            long begin = i * ArrayBlock.WORDS_PER_BLOCK;
            int n = (int) Math.min(ArrayBlock.WORDS_PER_BLOCK, count - begin);
            array.nrEntries(n);
            for (int v = 0; v < n; v++) {
                array.valueLong(v, words.word(begin + v));
            }
            append(BlockType.ARRAY_BLOCK);
        }
        return tree(first, blocks);
    }

    /** A tree of one level or two over consecutive blocks. */
    private long tree(long first, long blocks) throws IOException {
        int max = BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES);
        long firstLeaf = next;
        for (long begin = 0; begin == 0 || begin < blocks; begin += max) {
            clear();
            BTreeNode leaf = new BTreeNode().format(block, 0, false, BTreeNode.BLOCK_VALUE_BYTES);
            int n = (int) Math.min(max, blocks - begin);
            leaf.nrEntries(n);
            for (int e = 0; e < n; e++) {
                leaf.key(e, begin + e).valueLong(e, first + begin + e);
            }
            append(BlockType.BTREE_NODE);
        }
        int leaves = (int) (next - firstLeaf);
        if (leaves == 1) {
            return firstLeaf;
        }
        clear();
        BTreeNode root = new BTreeNode().format(block, 0, true, BTreeNode.BLOCK_VALUE_BYTES);
        root.nrEntries(leaves);
        for (int e = 0; e < leaves; e++) {
            root.key(e, (long) e * max).valueLong(e, firstLeaf + e);
        }
        return append(BlockType.BTREE_NODE);
    }

    private void clear() {
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i += Long.BYTES) {
            block.putLong(i, 0);
        }
    }

    private long append(BlockType type) throws IOException {
        seal.seal(type, block, 0, next);
        device.write(next, block.clear());
        return next++;
    }
}
