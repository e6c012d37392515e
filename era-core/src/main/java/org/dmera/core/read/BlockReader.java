// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.BitSet;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamagedMetadataException;

/**
 * Reads metadata blocks and verifies their seals. Not thread-safe.
 *
 * <p>No block is read twice: live trees never share blocks among themselves, so an honest walk from the roots doesn't come
 * by one again. Cycles, an array with the same block in two places, and trees whose pointers multiply do. That bounds the
 * time of any walk, too; a bit a block is what it costs.
 */
public final class BlockReader {
    private final BlockDevice device;
    private final BlockSeal seal = new BlockSeal();
    private final BitSet read = new BitSet();

    /** A reader that has read nothing yet: one for each walk over all trees. */
    public BlockReader(BlockDevice device) {
        this.device = device;
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
        requireUnread(type, firstBlockNr, count, structure);
        dst.clear().limit(count * BlockDevice.BLOCK_BYTES);
        device.read(firstBlockNr, dst);
        for (int i = 0; i < count; i++) {
            BlockSeal.Verdict verdict = seal.verify(type, dst, i * BlockDevice.BLOCK_BYTES, firstBlockNr + i);
            if (verdict != BlockSeal.Verdict.OK) {
                throw unsealed(verdict, type, firstBlockNr + i, dst, i * BlockDevice.BLOCK_BYTES, structure);
            }
        }
    }

    private void requireUnread(BlockType type, long firstBlockNr, int count, String structure)
            throws DamagedMetadataException {
        if (firstBlockNr + count > Integer.MAX_VALUE) {
            throw new DamagedMetadataException(
                    firstBlockNr,
                    structure + ": refers to " + type.label() + " " + firstBlockNr
                            + ", past the last block that a space map can have");
        }
        int first = (int) firstBlockNr;
        int again = read.nextSetBit(first);
        if (again >= 0 && again < first + count) {
            throw new DamagedMetadataException(
                    again,
                    structure + ": " + type.label() + " " + again
                            + " is in use in another place too: a cycle, or a reference that leads astray");
        }
        read.set(first, first + count);
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
            message += ": bad checksum" + (actual == null ? "" : ", it is " + actual.labelWithArticle());
        }
        return new DamagedMetadataException(blockNr, message);
    }
}
