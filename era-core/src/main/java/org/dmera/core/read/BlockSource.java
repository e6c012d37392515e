// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;

/** The blocks of a metadata device, one by one or many at a time, with their seals verified. Not thread-safe. */
public final class BlockSource {
    private final BlockDevice device;
    private final BlockSeal seal = new BlockSeal();
    private final long sizeBlocks;

    /** The blocks of {@code device}; nothing is read. */
    public BlockSource(BlockDevice device) {
        this.device = device;
        this.sizeBlocks = Math.min(device.sizeBlocks(), IndexBlock.MAX_METADATA_BLOCKS);
    }

    /** A little-endian direct buffer of {@code blocks} blocks, aligned so that O_DIRECT devices take it. */
    public static ByteBuffer newBuffer(int blocks) {
        return ByteBuffer.allocateDirect((blocks + 1) * BlockDevice.BLOCK_BYTES)
                .alignedSlice(BlockDevice.BLOCK_BYTES)
                .limit(blocks * BlockDevice.BLOCK_BYTES)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Whether a block is all zeroes. */
    public static boolean isZero(ByteBuffer block) {
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i += Long.BYTES) {
            if (block.getLong(i) != 0) {
                return false;
            }
        }
        return true;
    }

    /** The device that is read. */
    public BlockDevice device() {
        return device;
    }

    /** Blocks that can be in use: no space map reaches further. */
    public long sizeBlocks() {
        return sizeBlocks;
    }

    /** Whether a u64 from the device names a block that can be in use; block 0 is the superblock's. */
    public boolean isUsable(long blockNr) {
        return blockNr > 0 && blockNr < sizeBlocks;
    }

    /**
     * Reads {@code count} blocks from {@code first} on to the start of {@code dst}, whatever they are.
     *
     * @throws IOException the device's failure
     */
    public void readRun(long first, int count, ByteBuffer dst) throws IOException {
        dst.clear().limit(count * BlockDevice.BLOCK_BYTES);
        device.read(first, dst);
    }

    /**
     * Reads a block, whatever it is; returns null, or the device's failure.
     *
     * @throws IOException when the reader was interrupted: an interrupt closes the channel beneath a device, for every thread
     *     that reads from it, so that a failure of that kind isn't the device's and must not be taken for damage
     */
    public IOException tryRead(long blockNr, ByteBuffer block) throws IOException {
        try {
            device.read(blockNr, block.clear());
            block.clear();
            return null;
        } catch (ClosedChannelException | InterruptedIOException e) {
            throw e;
        } catch (IOException e) {
            block.clear();
            return e;
        }
    }

    /** Reads a block that should be a {@code type}; returns null, or what is wrong with it. */
    public Problem read(long blockNr, ByteBuffer block, BlockType type) throws IOException {
        IOException failure = tryRead(blockNr, block);
        if (failure != null) {
            String message = failure.getMessage() == null ? failure.toString() : failure.getMessage();
            return new Problem(DamageKind.UNREADABLE, blockNr, "the device failed: " + message, failure);
        }
        return verify(block, 0, blockNr, type);
    }

    /** What is wrong with a block that should be a {@code type}, or null. */
    public Problem verify(ByteBuffer buffer, int offset, long blockNr, BlockType type) {
        BlockType actual = seal.identify(buffer, offset);
        if (actual == type) {
            long stored = buffer.getLong(offset + type.blockNrOffset());
            return stored == blockNr
                    ? null
                    : Problem.of(
                            DamageKind.WRONG_BLOCK_NUMBER,
                            blockNr,
                            "it says that it is block " + Long.toUnsignedString(stored));
        }
        if (actual != null) {
            return Problem.of(
                    DamageKind.WRONG_TYPE,
                    blockNr,
                    "expected " + type.labelWithArticle() + ", found " + actual.labelWithArticle());
        }
        ByteBuffer block = buffer.slice(offset, BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        return Problem.of(
                DamageKind.BAD_CHECKSUM,
                blockNr,
                isZero(block)
                        ? "expected " + type.labelWithArticle() + ", found zeroes"
                        : "bad checksum, expected " + type.labelWithArticle());
    }

    /** The kind of block whose checksum fits, or null. */
    public BlockType identify(ByteBuffer block) {
        return seal.identify(block, 0);
    }
}
