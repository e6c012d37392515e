// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.ChangeTracking;

/**
 * Looks up one context of a BLOCK_STATUS request.
 *
 * <p>An answer may cover less than what was asked for, and the client asks on: so it ends where {@link StatusRuns} has no
 * room. And it ends with what has been found in a moment, however much more was asked for: the look at a large device takes
 * minutes, during which it could not be suspended.
 */
final class BlockStatus implements ChangeTracking.EraRuns {
    /** After so long, the run that is found next is the last. */
    private static final long MAX_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
    /** To look at the clock costs as much as several runs of eras that have been read: it is done after so many, */
    private static final int RUNS_BETWEEN_LOOKS = 64;
    /** and after each of so many bytes, of which the eras may have had to be read. */
    private static final long LONG_RUN_BYTES = 1L << 20;

    private final long started = System.nanoTime();
    /** Negative for the eras themselves. */
    private final long sinceEra;

    private final StatusRuns out;
    private int unseenRuns;

    private BlockStatus(MetaContexts.Context context, StatusRuns out) {
        this.sinceEra = context.kind() == MetaContexts.Kind.DIRTY_SINCE ? context.sinceEra() : -1;
        this.out = out;
    }

    /** Puts the runs from {@code offset} on, at least one, in place of what is in {@code out}. */
    static void put(
            DeviceIo io, MetaContexts.Context context, long offset, long length, boolean onlyOne, StatusRuns out)
            throws IOException {
        out.clear(onlyOne ? 1 : StatusRuns.MAX_RUNS);
        BlockStatus status = new BlockStatus(context, out);
        switch (context.kind()) {
            case ALLOCATION -> status.allocation(io, offset, length);
            case DIRTY_SINCE, ERA_WRITES -> io.lastWritten(offset, length, context.lineage(), status);
        }
        out.end();
    }

    @Override
    public boolean run(long bytes, int era) {
        return take(bytes, StatusRuns.status(era, sinceEra));
    }

    /** A slice takes less time than a look at the clock is worth. */
    @Override
    public boolean blocks(int[] eras, long blockSizeBytes, long fromBytes, long endBytes) {
        return out.addBlocks(eras, blockSizeBytes, fromBytes, endBytes, sinceEra) && !isLate();
    }

    private void allocation(DeviceIo io, long offset, long length) throws IOException {
        long at = 0;
        while (at < length) {
            long found = io.allocation(offset + at, length - at);
            long bytes = Math.abs(found);
            if (bytes == 0 || !take(bytes, found < 0 ? Nbd.STATE_HOLE | Nbd.STATE_ZERO : 0) || isLate()) {
                return;
            }
            at += bytes;
        }
    }

    /** Takes the next run; false when the answer is full, or has taken long enough. */
    private boolean take(long bytes, long status) {
        if (!out.add(bytes, status)) {
            return false;
        }
        if (bytes < LONG_RUN_BYTES && ++unseenRuns < RUNS_BETWEEN_LOOKS) {
            return true;
        }
        unseenRuns = 0;
        return !isLate();
    }

    private boolean isLate() {
        return System.nanoTime() - started >= MAX_NANOS;
    }
}
