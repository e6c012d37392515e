// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.DeviceIo;

/**
 * Answers one context of a BLOCK_STATUS request: runs of bytes with their status, neighbours with the same one joined.
 *
 * <p>An answer may cover less than what was asked for, and the client asks on: so runs are limited in number, and one
 * answer never needs more memory than its buffer. And it ends with what has been found in a moment, however much more was
 * asked for: the look at a large device takes minutes, during which it could not be suspended.
 */
final class BlockStatus {
    /** Runs in one answer, at most. */
    private static final int MAX_RUNS = 2048;
    /** Room for the runs of one answer. */
    static final int MAX_BYTES = MAX_RUNS * 16;
    /** A run's length without extended headers: 32 bits, kept to a multiple of all block sizes in use. */
    private static final long MAX_RUN_BYTES = 1L << 31;

    /** After so long, the run that is found next is the last. */
    private static final long MAX_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    private final long started = System.nanoTime();
    private final ByteBuffer out;
    private final boolean wide;
    private final int limit;
    private int runs;
    private long runBytes;
    private long runStatus;

    private BlockStatus(ByteBuffer out, boolean wide, boolean onlyOne) {
        this.out = out;
        this.wide = wide;
        this.limit = onlyOne ? 1 : MAX_RUNS;
    }

    /** Puts the runs from {@code offset} on; returns how many there are, at least one. */
    static int put(
            DeviceIo io,
            MetaContexts.Context context,
            long offset,
            long length,
            boolean wide,
            boolean onlyOne,
            ByteBuffer out)
            throws IOException {
        BlockStatus status = new BlockStatus(out, wide, onlyOne);
        switch (context.kind()) {
            case ALLOCATION -> status.allocation(io, offset, length);
            case DIRTY_SINCE ->
                io.lastWritten(
                        offset,
                        length,
                        context.lineage(),
                        (bytes, era) -> status.run(
                                bytes, Integer.toUnsignedLong(era) >= context.sinceEra() ? Nbd.STATE_DIRTY : 0));
            case ERA_WRITES ->
                io.lastWritten(
                        offset,
                        length,
                        context.lineage(),
                        (bytes, era) -> status.run(bytes, Integer.toUnsignedLong(era)));
        }
        status.end();
        return status.runs;
    }

    private void allocation(DeviceIo io, long offset, long length) throws IOException {
        long at = 0;
        while (at < length) {
            long found = io.allocation(offset + at, length - at);
            long bytes = Math.abs(found);
            if (bytes == 0 || !run(bytes, found < 0 ? Nbd.STATE_HOLE | Nbd.STATE_ZERO : 0)) {
                return;
            }
            at += bytes;
        }
    }

    /** Takes the next run; false when the answer is full. */
    private boolean run(long bytes, long status) {
        if (runBytes > 0 && status == runStatus) {
            runBytes += bytes;
        } else {
            end();
            runBytes = bytes;
            runStatus = status;
        }
        return runs < limit && (wide || runBytes < MAX_RUN_BYTES) && System.nanoTime() - started < MAX_NANOS;
    }

    private void end() {
        if (runBytes > 0 && runs < limit) {
            runs++;
            if (wide) {
                out.putLong(runBytes).putLong(runStatus);
            } else {
                out.putInt((int) Math.min(runBytes, MAX_RUN_BYTES)).putInt((int) runStatus);
            }
        }
        runBytes = 0;
    }
}
