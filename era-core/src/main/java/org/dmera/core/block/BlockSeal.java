// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * Seals blocks (own number and checksum) and verifies them, one instance a thread.
 *
 * <p>The buffers must be little-endian; an instance moves a buffer's position and limit while it works and puts them
 * back, so a buffer must not be shared with another thread meanwhile. Nothing is allocated per block.
 */
public final class BlockSeal {
    /** What verification of a block found. */
    public enum Verdict {
        OK,
        /** The checksum is not that of this {@link BlockType} (the kernel answers EILSEQ). */
        BAD_CHECKSUM,
        /** The checksum is right but the block has another block's number (the kernel answers ENOTBLK). */
        WRONG_BLOCK_NUMBER
    }

    private final CRC32C crc = new CRC32C();

    /** CRC32C XOR 0xFFFFFFFF of bytes 4..4095 of the block at {@code offset}: the stored checksum before its salt. */
    public int unsaltedChecksum(ByteBuffer buffer, int offset) {
        crc.reset();
        int position = buffer.position();
        int limit = buffer.limit();
        buffer.limit(offset + BlockDevice.BLOCK_BYTES).position(offset + 4);
        crc.update(buffer);
        buffer.limit(limit).position(position);
        return ~(int) crc.getValue();
    }

    /** Writes the block's own number and its checksum. */
    public void seal(BlockType type, ByteBuffer buffer, int offset, long blockNr) {
        requireLittleEndian(buffer);
        buffer.putLong(offset + type.blockNrOffset(), blockNr);
        buffer.putInt(offset, unsaltedChecksum(buffer, offset) ^ type.salt());
    }

    /** Whether the block at {@code offset} is a {@code type} that belongs at {@code blockNr}. */
    public Verdict verify(BlockType type, ByteBuffer buffer, int offset, long blockNr) {
        requireLittleEndian(buffer);
        if (buffer.getInt(offset) != (unsaltedChecksum(buffer, offset) ^ type.salt())) {
            return Verdict.BAD_CHECKSUM;
        }
        return buffer.getLong(offset + type.blockNrOffset()) == blockNr ? Verdict.OK : Verdict.WRONG_BLOCK_NUMBER;
    }

    /**
     * The kind of block whose salt fits the checksum, or null when none does; the block's number is not looked at. The
     * checksum is computed once for all kinds.
     */
    public BlockType identify(ByteBuffer buffer, int offset) {
        requireLittleEndian(buffer);
        int salt = buffer.getInt(offset) ^ unsaltedChecksum(buffer, offset);
        for (BlockType type : TYPES) {
            if (type.salt() == salt) {
                return type;
            }
        }
        return null;
    }

    private static final BlockType[] TYPES = BlockType.values();

    private static void requireLittleEndian(ByteBuffer buffer) {
        if (buffer.order() != ByteOrder.LITTLE_ENDIAN) {
            throw new IllegalArgumentException("metadata is little-endian, the buffer is not");
        }
    }
}
