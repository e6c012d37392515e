// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;

/** Reads single blocks, verifies them, and reports those that are not what they should be. */
final class BlockReader {
    private final BlockDevice device;
    private final BlockTable table;
    private final DamageLog log;
    private final Seen eye;
    private final ByteBuffer spare = newBuffer();

    BlockReader(BlockDevice device, BlockTable table, DamageLog log, Seen eye) {
        this.device = device;
        this.table = table;
        this.log = log;
        this.eye = eye;
    }

    static ByteBuffer newBuffer() {
        return ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    BlockTable table() {
        return table;
    }

    DamageLog log() {
        return log;
    }

    /** What the block is; looks at the device when the pass over it has left the block out. */
    short seen(long blockNr) {
        short seen = table.seen(blockNr);
        if (seen == Seen.NOT_YET) {
            seen = tryRead(blockNr, spare) == null ? eye.look(spare, 0, blockNr) : Seen.UNREADABLE;
            table.seen(blockNr, seen);
        }
        return seen;
    }

    /**
     * Reads a block without looking at its seal; returns null, or what the device said.
     *
     * @throws UncheckedIOException when the reader was interrupted, which says nothing about the device
     */
    String tryRead(long blockNr, ByteBuffer buffer) {
        try {
            device.read(blockNr, buffer.clear());
            buffer.clear();
            return null;
        } catch (IOException e) {
            rethrowInterruption(e);
            buffer.clear();
            return e.getMessage() == null ? e.toString() : e.getMessage();
        }
    }

    /**
     * An interrupt closes the channel beneath a device, for every thread that reads from it: a failure of that kind is not
     * the device's, and must not be taken for damage.
     */
    static void rethrowInterruption(IOException e) {
        if (e instanceof ClosedChannelException || e instanceof InterruptedIOException) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Reads a block that should be a {@code type}; when it is not, reports that and returns false.
     *
     * @param where names the place in the report
     */
    boolean read(long blockNr, ByteBuffer buffer, BlockType type, Where where) {
        String failure = tryRead(blockNr, buffer);
        if (failure != null) {
            return report(DamageKind.UNREADABLE, where, blockNr, "the device failed: " + failure);
        }
        BlockType actual = eye.identify(buffer, 0);
        if (actual != type) {
            return reportType(blockNr, buffer, actual, type, where);
        }
        long stored = buffer.getLong(type.blockNrOffset());
        if (stored != blockNr) {
            return report(
                    DamageKind.WRONG_BLOCK_NUMBER,
                    where,
                    blockNr,
                    "it says that it is block " + Long.toUnsignedString(stored));
        }
        return true;
    }

    private boolean reportType(long blockNr, ByteBuffer buffer, BlockType actual, BlockType type, Where where) {
        if (actual != null) {
            return report(
                    DamageKind.WRONG_TYPE,
                    where,
                    blockNr,
                    "expected " + type.labelWithArticle() + ", found " + actual.labelWithArticle());
        }
        return report(
                DamageKind.BAD_CHECKSUM,
                where,
                blockNr,
                isZero(buffer)
                        ? "expected " + type.labelWithArticle() + ", found zeroes"
                        : "bad checksum, expected " + type.labelWithArticle());
    }

    /** The kind of block whose checksum fits, or null. */
    BlockType identify(ByteBuffer buffer) {
        return eye.identify(buffer, 0);
    }

    static boolean isZero(ByteBuffer buffer) {
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i += 8) {
            if (buffer.getLong(i) != 0) {
                return false;
            }
        }
        return true;
    }

    /** Reports damage of one block, once a block; returns false. */
    boolean report(DamageKind kind, Where where, long blockNr, String detail) {
        boolean usable = blockNr >= 0 && blockNr < table.size();
        if (!usable || !table.hasMark(blockNr, BlockTable.REPORTED)) {
            log.add(kind, where.structure(), where.path(), blockNr, 1, detail, where.consequence());
        }
        if (usable && kind.severity() != Severity.NOTE) {
            table.mark(blockNr, BlockTable.REPORTED);
        }
        return false;
    }
}
