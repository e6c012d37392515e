// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.concurrent.Semaphore;
import org.dmera.core.metadata.EraWorker;

/** When blocks of one era target were written last, now or at the moment of a view; in slices, on the metadata thread. */
final class EraReader {
    /** Blocks asked for at once; a slice of this size takes the thread a millisecond or so. */
    private static final int SLICE_BLOCKS = 1 << 16;

    private final EraMetadataState metadata;
    private final EraMetadataThread thread;
    private final long blockSizeBytes;
    /**
     * One reader at a time, a slice each in turn: however many ask, they take no more than one processor's time from writes
     * that wait for marks.
     */
    private final Semaphore readers = new Semaphore(1, true);

    EraReader(EraMetadataState metadata, EraMetadataThread thread, long blockSizeBytes) {
        this.metadata = metadata;
        this.thread = thread;
        this.blockSizeBytes = blockSizeBytes;
    }

    long blockSizeBytes() {
        return blockSizeBytes;
    }

    /** As {@link ChangeTracking#lastWritten}, as it was at the moment of {@code view}; null for now. */
    boolean lastWritten(FrozenView view, long offsetBytes, long length, ChangeTracking.EraRuns visitor)
            throws IOException {
        long end = offsetBytes + length;
        long block = offsetBytes / blockSizeBytes;
        if (view != null) {
            // It has its map in slices.
            block -= block % FrozenView.SLICE_BLOCKS;
        }
        long lastBlock = (end - 1) / blockSizeBytes;
        int[] eras = new int[(int) Math.min(SLICE_BLOCKS, lastBlock - block + 1)];
        long at = offsetBytes;
        while (at < end) {
            long first = block;
            int count = (int) Math.min(eras.length, lastBlock - block + 1);
            long start = first * blockSizeBytes;
            long sliceEnd = Math.min(end, start + count * blockSizeBytes);
            readers.acquireUninterruptibly();
            try {
                readEras(view, first, count, eras);
                if (!visitor.blocks(eras, blockSizeBytes, at - start, sliceEnd - start)) {
                    return false;
                }
            } finally {
                readers.release();
            }
            at = sliceEnd;
            block += count;
        }
        return true;
    }

    private void readEras(FrozenView view, long first, int count, int[] eras) throws IOException {
        thread.run(() -> {
            EraWorker worker = metadata.requireWorker();
            if (view == null) {
                worker.metadata().readEras(first, count, eras, 0);
            } else {
                view.readLive(worker.metadata(), first, count, eras);
            }
            return null;
        });
        if (view != null) {
            view.readKept(first, count, eras);
        }
    }
}
