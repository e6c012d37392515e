// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.EraStats;
import org.dmera.core.metadata.EraWorker;
import org.dmera.core.metadata.RefusedException;

/** What is asked of one era target's metadata: verbs, each done and committed in a pass of the worker, and figures. */
final class EraCalls {
    /**
     * Status is promised within 100 ms, whatever the devices do. So it waits this long for the worker, and then tells the
     * figures that are known: its own when only their commit is missing, else the last ones.
     */
    private static final long STATUS_PATIENCE_MILLIS = 50;

    private final EraMetadataState state;
    private final EraMetadataThread thread;
    /** The last call for a status. */
    private volatile Call pendingStatus;

    EraCalls(EraMetadataState state, EraMetadataThread thread) {
        this.state = state;
        this.thread = thread;
    }

    /** What a message does with the metadata, on their thread. */
    interface Verb {
        void apply(EraMetadata metadata) throws IOException, RefusedException;
    }

    /** A verb on its way through the worker. */
    private final class Call implements EraWorker.Call {
        private final Verb verb;
        private final CompletableFuture<String> answer = new CompletableFuture<>();
        private volatile EraStats stats;

        Call(Verb verb) {
            this.verb = verb;
        }

        @Override
        public void run(EraMetadata metadata) throws IOException, RefusedException {
            verb.apply(metadata);
            EraStats now = metadata.stats();
            state.note(now);
            stats = now;
        }

        @Override
        public void done(Throwable why) {
            try {
                if (why == null) {
                    state.committed(stats);
                } else if (!(why instanceof RefusedException) && !(why instanceof EraMetadataThread.NotRunning)) {
                    state.failed(why);
                }
            } finally {
                if (why == null) {
                    answer.complete(state.lastStatus());
                } else {
                    answer.completeExceptionally(why);
                }
            }
        }

        /** The status line, as far as it is known now. */
        String knownStatus() {
            EraStats known = stats;
            return known == null ? state.lastStatus() : known.statusLine();
        }
    }

    private Call submit(Verb verb) {
        Call call = new Call(verb);
        thread.call(call);
        return call;
    }

    /** Has a verb done and committed. */
    void call(Verb verb) throws IOException, RefusedException {
        try {
            submit(verb).answer.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RefusedException refused) {
                throw refused;
            }
            throw e.getCause() instanceof IOException io ? io : new IOException(e.getCause());
        }
    }

    /** The status line, which is no older than a message that was answered. */
    String status() {
        Call call = statusCall();
        try {
            return call.answer.get(STATUS_PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            return state.lastStatus();
        } catch (TimeoutException e) {
            return call.knownStatus();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return state.lastStatus();
        }
    }

    /**
     * A call for the figures: the one that is on its way, or a new one, so that they don't pile up while the metadata device
     * does not answer. Its figures are no older than a message that was answered: all calls of a pass are answered together,
     * and one of a later pass is answered after them.
     */
    private Call statusCall() {
        Call pending = pendingStatus;
        if (pending == null || pending.answer.isDone()) {
            pending = submit(metadata -> {});
            pendingStatus = pending;
        }
        return pending;
    }
}
