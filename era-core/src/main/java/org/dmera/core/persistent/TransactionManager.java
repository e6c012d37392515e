// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import java.util.Arrays;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Superblock;

/**
 * One transaction after another on a metadata device.
 *
 * <p>Copy on write: a block may be changed in place only when it was allocated in this transaction (it is then a
 * <em>shadow</em>) and only one thing refers to it. Any other block is shadowed: a new block is allocated, the old one
 * loses a reference, the bytes are copied. What the last superblock reaches is never touched.
 *
 * <p>{@link #commit} makes the transaction durable with two flushes; their order is the whole crash-safety argument.
 * There is no roll-back: when anything fails, throw the transaction manager away and open the device again.
 */
public final class TransactionManager {
    /** Memory for cached blocks when nothing else is asked for: 16 MiB. */
    public static final int DEFAULT_CACHE_BLOCKS = 4096;

    private static final int FEWEST_CACHE_BLOCKS = 16;

    private final BlockCache cache;
    private final SpaceMap spaceMap;
    private final CachedBlock superblock;
    private long[] shadowBits = new long[16];
    private long[] shadows = new long[64];
    private int shadowCount;
    private long commits;

    private TransactionManager(BlockDevice device, int cacheBlocks, boolean blank) throws IOException {
        this.cache = new BlockCache(device, Math.max(FEWEST_CACHE_BLOCKS, cacheBlocks));
        this.superblock = blank ? cache.zeroed(0, BlockType.SUPERBLOCK) : cache.read(0, BlockType.SUPERBLOCK);
        superblock.pins++;
        this.spaceMap = new SpaceMap(this);
    }

    /**
     * Begins on a device without metadata: a space map in its bootstrap blocks, a blank superblock in memory. Nothing
     * is valid on the device before {@link #commitFormat}.
     *
     * @throws NoSpaceException when the device can't hold even that
     */
    public static TransactionManager format(BlockDevice device, int cacheBlocks) throws IOException {
        if (device.sizeBlocks() < 1) {
            throw new NoSpaceException(0);
        }
        TransactionManager tm = new TransactionManager(device, cacheBlocks, true);
        tm.spaceMap.bootstrap(tm.cache.sizeBlocks());
        return tm;
    }

    /**
     * Goes on from the last commit. The superblock's seal is verified, its fields are not.
     *
     * @throws DamagedMetadataException when the superblock or the space map is not what it should be
     */
    public static TransactionManager open(BlockDevice device, int cacheBlocks) throws IOException {
        TransactionManager tm = new TransactionManager(device, cacheBlocks, false);
        tm.spaceMap.open(new Superblock().wrap(tm.superblock.data, 0));
        return tm;
    }

    /** The live superblock, to be filled in before a commit. */
    public Superblock superblock() {
        return new Superblock().wrap(superblock.data, 0);
    }

    public SpaceMap spaceMap() {
        return spaceMap;
    }

    /** Transactions committed since this was opened. */
    public long commits() {
        return commits;
    }

    /** Blocks written to the device since this was opened, superblocks included. */
    public long blocksWritten() {
        return cache.blocksWritten();
    }

    /** Usable blocks of the device: no more than a space map can cover. */
    public long sizeBlocks() {
        return cache.sizeBlocks();
    }

    /**
     * Brings the cache back within its bound, possibly by writing blocks that nothing durable refers to. To be called
     * between operations.
     */
    public void trim() throws IOException {
        cache.trim();
    }

    /** Gives up the memory of blocks that can be read again. To be called between operations; changes nothing. */
    public void releaseMemory() {
        cache.release();
    }

    /**
     * Ends the transaction: settles the space map, writes every changed block and flushes; then lets {@code fields} fill
     * in the superblock, writes it and flushes again.
     */
    public void commit(Runnable fields) throws IOException {
        spaceMap.commit();
        end(fields);
    }

    /**
     * Ends the transaction that formatted the device. The space map is not settled again: the index block keeps the
     * counts of the bootstrap, as the kernel leaves it, until the next commit.
     */
    public void commitFormat(Runnable fields) throws IOException {
        end(fields);
    }

    private void end(Runnable fields) throws IOException {
        cache.writeChanged();
        cache.flush();
        fields.run();
        cache.writeNow(superblock);
        cache.flush();
        for (int i = 0; i < shadowCount; i++) {
            shadowBits[(int) (shadows[i] >> 6)] = 0;
        }
        shadowCount = 0;
        commits++;
    }

    /** Writes the superblock as it was opened or last committed once more, and flushes. Before the first change only. */
    public void rewriteSuperblock() throws IOException {
        cache.writeNow(superblock);
        cache.flush();
    }

    /** Block 0 is shadowed into a new block, which is held as long as somebody refers to it; returns its number. */
    public long copySuperblock() throws IOException {
        return shadow(0, BlockType.SUPERBLOCK, copy -> {}).number;
    }

    /** The superblock copy of a metadata snapshot. */
    public Superblock readSuperblockCopy(long block) throws IOException {
        return new Superblock().wrap(cache.read(block, BlockType.SUPERBLOCK).data, 0);
    }

    /** What a copied block refers to gains a reference, when the original goes on referring to it too. */
    interface SharedCopy {
        void copied(CachedBlock copy) throws IOException;
    }

    CachedBlock read(long number, BlockType type) throws IOException {
        return cache.read(number, type);
    }

    CachedBlock newBlock(BlockType type) throws IOException {
        CachedBlock block = cache.zeroed(spaceMap.newBlock(), type);
        cache.changed(block);
        addShadow(block.number);
        return block;
    }

    /** The block itself when it may be changed in place, else its copy. The reference to it must be set to the number. */
    CachedBlock shadow(long number, BlockType type, SharedCopy whenShared) throws IOException {
        boolean shared = spaceMap.isShared(number);
        if (!shared && isShadow(number)) {
            CachedBlock block = cache.read(number, type);
            cache.changed(block);
            return block;
        }
        long copyNumber = spaceMap.newBlock();
        spaceMap.drop(number);
        CachedBlock original = cache.read(number, type);
        CachedBlock copy = cache.zeroed(copyNumber, type);
        System.arraycopy(original.bytes, 0, copy.bytes, 0, BlockDevice.BLOCK_BYTES);
        cache.changed(copy);
        addShadow(copyNumber);
        if (shared) {
            whenShared.copied(copy);
        }
        return copy;
    }

    private boolean isShadow(long number) {
        int word = (int) (number >> 6);
        return word < shadowBits.length && (shadowBits[word] & 1L << number) != 0;
    }

    private void addShadow(long number) {
        int word = (int) (number >> 6);
        if (word >= shadowBits.length) {
            shadowBits = Arrays.copyOf(shadowBits, Math.max(word + 1, 2 * shadowBits.length));
        }
        if ((shadowBits[word] & 1L << number) == 0) {
            shadowBits[word] |= 1L << number;
            if (shadowCount == shadows.length) {
                shadows = Arrays.copyOf(shadows, 2 * shadowCount);
            }
            shadows[shadowCount++] = number;
        }
    }
}
