// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.scan;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamagedMetadataException;

/**
 * Reads metadata blocks and verifies their seals. Not thread-safe.
 *
 * <p>Every block that is read is charged to a budget of as many blocks as the device holds. Live trees never share
 * blocks among themselves, so an honest walk from the roots stays within it; cycles, and trees whose pointers multiply,
 * run out of it. That bounds the time of any walk without remembering where it has been.
 */
public final class BlockReader {
    private final BlockDevice device;
    private final BlockSeal seal = new BlockSeal();
    private long budgetBlocks;

    /** A reader with a fresh budget: one for each walk over all trees. */
    public BlockReader(BlockDevice device) {
        this.device = device;
        this.budgetBlocks = device.sizeBlocks();
    }

    /** A little-endian direct buffer of {@code blocks} blocks, aligned so that O_DIRECT devices take it. */
    public static ByteBuffer newBuffer(int blocks) {
        return ByteBuffer.allocateDirect((blocks + 1) * BlockDevice.BLOCK_BYTES)
                .alignedSlice(BlockDevice.BLOCK_BYTES)
                .limit(blocks * BlockDevice.BLOCK_BYTES)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The device that is read. */
    public BlockDevice device() {
        return device;
    }

    /**
     * Reads {@code count} blocks from {@code firstBlockNr} on to the start of {@code dst}, and verifies that each is a
     * {@code type} that belongs there.
     *
     * @param structure what they are part of, for messages: {@code era array}
     * @throws DamagedMetadataException when one is not
     */
    public void read(BlockType type, long firstBlockNr, int count, ByteBuffer dst, String structure)
            throws IOException {
        if (firstBlockNr <= 0 || firstBlockNr > device.sizeBlocks() - count) {
            throw outside(type, firstBlockNr, structure);
        }
        budgetBlocks -= count;
        if (budgetBlocks < 0) {
            throw new DamagedMetadataException(
                    firstBlockNr,
                    structure + ": the metadata refers to more blocks than the device has (" + device.sizeBlocks()
                            + "): a cycle, or blocks that two trees share; stopped at " + type.label() + " "
                            + firstBlockNr);
        }
        dst.clear().limit(count * BlockDevice.BLOCK_BYTES);
        device.read(firstBlockNr, dst);
        for (int i = 0; i < count; i++) {
            BlockSeal.Verdict verdict = seal.verify(type, dst, i * BlockDevice.BLOCK_BYTES, firstBlockNr + i);
            if (verdict != BlockSeal.Verdict.OK) {
                throw unsealed(verdict, type, firstBlockNr + i, dst, i * BlockDevice.BLOCK_BYTES, structure);
            }
        }
    }

    private DamagedMetadataException outside(BlockType type, long firstBlockNr, String structure) {
        if (firstBlockNr == 0) {
            return new DamagedMetadataException(-1, structure + ": the root is 0, which means that there is none");
        }
        // A run is read in one go only when its first block is inside, so it is the run's end that is outside.
        long culprit = firstBlockNr > 0 && firstBlockNr < device.sizeBlocks() ? device.sizeBlocks() : firstBlockNr;
        return new DamagedMetadataException(
                culprit,
                structure + ": refers to " + type.label() + " " + Long.toUnsignedString(culprit)
                        + ", outside the device, which has " + device.sizeBlocks() + " blocks");
    }

    private DamagedMetadataException unsealed(
            BlockSeal.Verdict verdict, BlockType type, long blockNr, ByteBuffer block, int offset, String structure) {
        String message = structure + ": " + type.label() + " " + blockNr;
        if (verdict == BlockSeal.Verdict.WRONG_BLOCK_NUMBER) {
            message +=
                    ": it says that it is block " + Long.toUnsignedString(block.getLong(offset + type.blockNrOffset()));
        } else {
            BlockType actual = seal.identify(block, offset);
            message += ": bad checksum" + (actual == null ? "" : ", it is a " + actual.label());
        }
        return new DamagedMetadataException(blockNr, message);
    }
}
