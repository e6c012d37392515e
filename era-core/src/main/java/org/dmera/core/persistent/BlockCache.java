// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.IndexBlock;

/**
 * The blocks of a metadata device that are in memory, least recently used last.
 *
 * <p>Memory is bounded although a transaction is not: a changed block may be written before its transaction commits,
 * because it was free at the last commit and nothing on the device refers to it yet. Only the superblock has to wait.
 * So when there are too many changed blocks they are all written, in ascending order and in runs, and the oldest
 * blocks are let go. That happens in {@link #trim()} alone, which is called where no operation holds a block that it
 * has not pinned; in between an operation may exceed the bound by what it touches.
 */
final class BlockCache {
    private static final int PAGE_SHIFT = 9;
    private static final int PAGE_MASK = (1 << PAGE_SHIFT) - 1;
    /** Longest single write: 64 blocks, 256 KiB. */
    private static final int RUN_BLOCKS = 64;

    private static final int MAX_SPARE_BUFFERS = 64;

    private final BlockDevice device;
    private final int capacityBlocks;
    private final int dirtyLimitBlocks;
    private final BlockSeal seal = new BlockSeal();
    private final ByteBuffer run =
            ByteBuffer.allocateDirect(RUN_BLOCKS * BlockDevice.BLOCK_BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    private final CachedBlock[][] pages;
    private final CachedBlock lru = new CachedBlock();
    private final ArrayDeque<CachedBlock> spare = new ArrayDeque<>();
    private int size;
    private long[] dirtyNumbers = new long[64];
    private int dirtyCount;
    private long blocksWritten;

    BlockCache(BlockDevice device, int capacityBlocks) {
        this.device = device;
        this.capacityBlocks = capacityBlocks;
        this.dirtyLimitBlocks = Math.max(1, capacityBlocks / 4);
        long usable = Math.min(device.sizeBlocks(), IndexBlock.MAX_METADATA_BLOCKS);
        this.pages = new CachedBlock[(int) ((usable + PAGE_MASK) >> PAGE_SHIFT)][];
        lru.newer = lru;
        lru.older = lru;
    }

    long sizeBlocks() {
        return Math.min(device.sizeBlocks(), IndexBlock.MAX_METADATA_BLOCKS);
    }

    /** Blocks in memory. */
    int size() {
        return size;
    }

    /** Blocks written to the device so far. */
    long blocksWritten() {
        return blocksWritten;
    }

    /** The block, from memory or from the device, where its seal is verified. */
    CachedBlock read(long number, BlockType type) throws IOException {
        CachedBlock block = find(number, type);
        if (block != null) {
            if (block.type != type) {
                throw DamagedMetadataException.inBlock(
                        DamageKind.DOUBLY_USED,
                        number,
                        type.label(),
                        "it is in use as another kind too: " + block.type.label());
            }
            touch(block);
            return block;
        }
        block = buffer();
        boolean read = false;
        try {
            device.read(number, block.data.clear());
            block.data.clear();
            verify(block, number, type);
            read = true;
        } finally {
            if (!read) {
                recycle(block);
            }
        }
        insert(block, number, type);
        return block;
    }

    /** The block as all zeroes, to be written. What is on the device is not looked at. */
    CachedBlock zeroed(long number, BlockType type) throws IOException {
        CachedBlock block = find(number, type);
        if (block == null) {
            block = buffer();
            insert(block, number, type);
        } else {
            touch(block);
        }
        Arrays.fill(block.bytes, (byte) 0);
        block.type = type;
        block.shapeCheckedFor = 0;
        return block;
    }

    /** Says that the block has been changed, or is about to be. The superblock is written by {@link #writeNow} only. */
    void changed(CachedBlock block) {
        if (!block.dirty && block.number != 0) {
            block.dirty = true;
            if (dirtyCount == dirtyNumbers.length) {
                dirtyNumbers = Arrays.copyOf(dirtyNumbers, 2 * dirtyCount);
            }
            dirtyNumbers[dirtyCount++] = block.number;
        }
    }

    /** Writes every changed block but the superblock, ascending, consecutive ones together. Does not flush. */
    void writeChanged() throws IOException {
        Arrays.sort(dirtyNumbers, 0, dirtyCount);
        run.clear();
        long first = 0;
        for (int i = 0; i < dirtyCount; i++) {
            long number = dirtyNumbers[i];
            if (run.position() > 0 && (!run.hasRemaining() || number != dirtyNumbers[i - 1] + 1)) {
                writeRun(first);
            }
            if (run.position() == 0) {
                first = number;
            }
            CachedBlock block = page(number)[(int) number & PAGE_MASK];
            seal.seal(block.type, block.data, 0, number);
            run.put(block.bytes);
        }
        if (run.position() > 0) {
            writeRun(first);
        }
        for (int i = 0; i < dirtyCount; i++) {
            page(dirtyNumbers[i])[(int) dirtyNumbers[i] & PAGE_MASK].dirty = false;
        }
        dirtyCount = 0;
    }

    /** Seals the block and writes it at once. */
    void writeNow(CachedBlock block) throws IOException {
        seal.seal(block.type, block.data, 0, block.number);
        run.clear().put(block.bytes);
        writeRun(block.number);
    }

    void flush() throws IOException {
        device.flush();
    }

    /** Brings memory back within its bound. No block that is not pinned may be held across this call. */
    void trim() throws IOException {
        if (dirtyCount > dirtyLimitBlocks) {
            writeChanged();
        }
        CachedBlock candidate = lru.newer;
        while (size > capacityBlocks && candidate != lru) {
            CachedBlock next = candidate.newer;
            if (candidate.pins == 0) {
                if (candidate.dirty) {
                    writeChanged();
                }
                unlink(candidate);
                page(candidate.number)[(int) candidate.number & PAGE_MASK] = null;
                size--;
                recycle(candidate);
            }
            candidate = next;
        }
    }

    /**
     * Lets every block go but those that are pinned or have to be written, and the memory of those that went before. Reads and
     * writes nothing. As with {@link #trim()}, no other block may be held.
     */
    void release() {
        CachedBlock candidate = lru.newer;
        while (candidate != lru) {
            CachedBlock next = candidate.newer;
            if (candidate.pins == 0 && !candidate.dirty) {
                unlink(candidate);
                page(candidate.number)[(int) candidate.number & PAGE_MASK] = null;
                size--;
            }
            candidate = next;
        }
        spare.clear();
    }

    private void verify(CachedBlock block, long number, BlockType type) throws DamagedMetadataException {
        switch (seal.verify(type, block.data, 0, number)) {
            case OK -> {}
            case BAD_CHECKSUM -> {
                BlockType found = seal.identify(block.data, 0);
                throw DamagedMetadataException.inBlock(
                        found == null ? DamageKind.BAD_CHECKSUM : DamageKind.WRONG_TYPE,
                        number,
                        type.label(),
                        found == null
                                ? "its checksum fits no kind of block"
                                : "by its checksum it is another kind: " + found.label());
            }
            case WRONG_BLOCK_NUMBER ->
                throw DamagedMetadataException.inBlock(
                        DamageKind.WRONG_BLOCK_NUMBER,
                        number,
                        type.label(),
                        "it says that it is block " + Long.toUnsignedString(block.data.getLong(type.blockNrOffset())));
        }
    }

    private CachedBlock find(long number, BlockType type) throws DamagedMetadataException {
        if (number < 0 || number >= sizeBlocks()) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.OUT_OF_RANGE,
                    number,
                    type.label(),
                    "it lies outside the device, which has " + sizeBlocks() + " usable blocks");
        }
        CachedBlock[] page = pages[(int) (number >> PAGE_SHIFT)];
        return page == null ? null : page[(int) number & PAGE_MASK];
    }

    private CachedBlock[] page(long number) {
        return pages[(int) (number >> PAGE_SHIFT)];
    }

    private void insert(CachedBlock block, long number, BlockType type) {
        block.number = number;
        block.type = type;
        block.shapeCheckedFor = 0;
        int page = (int) (number >> PAGE_SHIFT);
        if (pages[page] == null) {
            pages[page] = new CachedBlock[1 << PAGE_SHIFT];
        }
        pages[page][(int) number & PAGE_MASK] = block;
        size++;
        linkNewest(block);
    }

    private void touch(CachedBlock block) {
        if (lru.older != block) {
            unlink(block);
            linkNewest(block);
        }
    }

    private void linkNewest(CachedBlock block) {
        block.newer = lru;
        block.older = lru.older;
        lru.older.newer = block;
        lru.older = block;
    }

    private static void unlink(CachedBlock block) {
        block.older.newer = block.newer;
        block.newer.older = block.older;
    }

    private CachedBlock buffer() {
        CachedBlock block = spare.pollLast();
        return block == null ? new CachedBlock() : block;
    }

    private void recycle(CachedBlock block) {
        if (spare.size() < MAX_SPARE_BUFFERS) {
            spare.addLast(block);
        }
    }

    private void writeRun(long first) throws IOException {
        run.flip();
        blocksWritten += run.remaining() / BlockDevice.BLOCK_BYTES;
        try {
            device.write(first, run);
        } finally {
            run.clear();
        }
    }
}
