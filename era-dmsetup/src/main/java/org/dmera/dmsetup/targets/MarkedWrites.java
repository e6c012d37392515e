// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Which writes may go to the origin of one era target: those whose blocks are marked in the current era. They go at once; the
 * others wait here, and nowhere else, until their marks are on stable storage.
 *
 * <p>A write takes a slot before it looks at the marks, and has it until it has landed. So when an era has begun, those that the
 * old marks let go are found by {@link #markAgain}.
 */
final class MarkedWrites {
    private final EraMetadataState metadata;
    private final EraMetadataThread thread;
    private final long blockSizeBytes;
    private final InFlightWrites inFlight = new InFlightWrites();

    MarkedWrites(EraMetadataState metadata, EraMetadataThread thread, long blockSizeBytes) {
        this.metadata = metadata;
        this.thread = thread;
        this.blockSizeBytes = blockSizeBytes;
    }

    /** Takes a slot for a range all of whose blocks are marked; waits for the marks when they are missing. */
    int enter(long offsetBytes, long length) throws IOException {
        long first = offsetBytes / blockSizeBytes;
        long last = (offsetBytes + length - 1) / blockSizeBytes;
        while (true) {
            int slot = inFlight.enter(first, last);
            if (metadata.isMarked(first, last)) {
                return slot;
            }
            inFlight.exit(slot);
            Client waiting = Client.pause();
            try {
                Threads.join(mark(first, last));
            } finally {
                Client.resume(waiting);
            }
            Client.requireHere(waiting);
        }
    }

    /** The write has landed, or has given up. */
    void exit(int slot) {
        inFlight.exit(slot);
    }

    /** Whether all blocks of a range are marked. */
    boolean isMarked(long offsetBytes, long length) {
        return metadata.isMarked(offsetBytes / blockSizeBytes, (offsetBytes + length - 1) / blockSizeBytes);
    }

    /** Has the blocks of a range marked, together with all others that wait; {@code then} hears of it. */
    void prepare(long offsetBytes, long length, Target.Prepared then) {
        int first = (int) (offsetBytes / blockSizeBytes);
        thread.mark(first, (int) ((offsetBytes + length - 1) / blockSizeBytes), then);
    }

    /**
     * Marks, in the era that has just begun, the blocks of the writes that may still land by the marks of the last one, and
     * of those that have landed and will be answered in this era.
     */
    void markAgain(OwedAnswers answers) throws IOException {
        List<CompletableFuture<Void>> pending = new ArrayList<>();
        InFlightWrites.Ranges markUnmarked = (first, last) -> {
            if (!metadata.isMarked(first, last)) {
                pending.add(mark(first, last));
            }
        };
        inFlight.forEach(markUnmarked);
        answers.awaitOrReport((offsetBytes, length) ->
                markUnmarked.range(offsetBytes / blockSizeBytes, (offsetBytes + length - 1) / blockSizeBytes));
        for (CompletableFuture<Void> marked : pending) {
            Threads.join(marked);
        }
    }

    private CompletableFuture<Void> mark(long first, long last) {
        CompletableFuture<Void> marked = new CompletableFuture<>();
        thread.mark((int) first, (int) last, failed -> {
            if (failed == null) {
                marked.complete(null);
            } else {
                marked.completeExceptionally(failed);
            }
        });
        return marked;
    }
}
