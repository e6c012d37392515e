// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.dmera.core.metadata.EraWorker;

/**
 * The thread that owns one era target's metadata, from load to close.
 *
 * <p>It does two kinds of work. <em>Passes</em> of the {@link EraWorker}, while the target is running: it is woken by a
 * write that needs a mark or by a call, and by itself while there is something to digest. Whatever has come in when a pass
 * gets to it shares one commit. And <em>tasks</em>, one at a time between passes, in any state: opening, the ends of resume
 * and suspend, questions that only read.
 */
final class EraMetadataThread {
    /** An answer to a call that came when no passes were running. */
    static final class NotRunning extends IOException {
        private static final long serialVersionUID = 1L;

        NotRunning() {
            super("the target is suspended");
        }
    }

    private final Object lock = new Object();
    private final ArrayDeque<Threads.Task<?>> tasks = new ArrayDeque<>();
    private final Thread thread;
    private final Consumer<int[]> beforeMarks;
    private final Consumer<Throwable> onFailure;
    private final MarkQueue waiting;
    private List<EraWorker.Call> calls = new ArrayList<>();
    private EraWorker running;
    private boolean woken;
    private boolean closed;
    /** The thread waits for work. */
    private boolean parked;
    /** Whether the last pass has left something to digest. Of the thread. */
    private boolean again;
    /** Why no pass runs until the target is resumed: an error in this program, or memory that was not to be had. */
    private volatile IOException broken;

    /**
     * {@code beforeMarks} hears of blocks that are about to be marked, {@code onFailure} of failures of the metadata; on the
     * thread.
     */
    EraMetadataThread(String name, Consumer<int[]> beforeMarks, Consumer<Throwable> onFailure) {
        this.beforeMarks = beforeMarks;
        this.onFailure = onFailure;
        this.waiting = new MarkQueue(onFailure);
        this.thread = Threads.daemon(name, this::loop);
        thread.start();
    }

    /** Runs {@code task} on the thread, between passes, and waits for it. */
    <T> T run(Callable<T> task) throws IOException {
        Threads.Task<T> given = new Threads.Task<>(task);
        synchronized (lock) {
            if (closed) {
                throw new IOException("the target is closed");
            }
            tasks.add(given);
            lock.notifyAll();
        }
        return Threads.join(given);
    }

    /** From now on passes of {@code worker} run; on this thread. */
    void start(EraWorker worker) {
        synchronized (lock) {
            running = worker;
            broken = null;
        }
    }

    /** No further pass runs; on this thread. Who has come too late for one hears that the target is suspended. */
    void stop() {
        synchronized (lock) {
            running = null;
            woken = false;
        }
        failWaiting(new NotRunning());
    }

    /** Has blocks {@code first} to {@code last} marked; {@code then} hears of it, on the thread. */
    void mark(int first, int last, Target.Prepared then) {
        if (last - first >= MarkQueue.MAX_BATCH_BLOCKS) {
            int next = first + MarkQueue.MAX_BATCH_BLOCKS;
            mark(first, next - 1, failure -> {
                if (failure == null) {
                    markRest(next, last, then);
                } else {
                    then.prepared(failure);
                }
            });
            return;
        }
        synchronized (lock) {
            if (!closed && broken == null) {
                waiting.add(first, last, then);
                woken = true;
                lock.notifyAll();
                return;
            }
        }
        then.prepared(broken != null ? broken : new IOException("the target is closed"));
    }

    /** The rest of a long range, on the thread: a failure has nobody else to go to. */
    private void markRest(int first, int last, Target.Prepared then) {
        try {
            mark(first, last, then);
        } catch (RuntimeException | Error e) {
            then.prepared(new IOException("the write can't be recorded: " + e, e));
        }
    }

    /** Has {@code call} done in a pass. */
    void call(EraWorker.Call call) {
        synchronized (lock) {
            if (running != null && !closed && broken == null) {
                calls.add(call);
                woken = true;
                lock.notifyAll();
                return;
            }
        }
        call.done(broken != null ? broken : new NotRunning());
    }

    /** How many calls wait for a pass. */
    int waitingCalls() {
        synchronized (lock) {
            return calls.size();
        }
    }

    /** Whether there is nothing to do: nobody waits for anything, and nothing is left to digest. */
    boolean isIdle() {
        synchronized (lock) {
            return closed || parked && tasks.isEmpty() && (running == null || !woken);
        }
    }

    /** Ends the thread, after the tasks that were given to it; {@code last} is its last task. */
    void close(Callable<Void> last) throws IOException {
        Threads.Task<Void> given = new Threads.Task<>(last);
        synchronized (lock) {
            if (closed) {
                return;
            }
            tasks.add(given);
            closed = true;
            lock.notifyAll();
        }
        Threads.join(given);
    }

    private void loop() {
        try {
            work();
        } finally {
            end();
        }
    }

    /** Nobody waits for a thread that has ended, whatever ended it. */
    private void end() {
        List<Threads.Task<?>> left;
        synchronized (lock) {
            closed = true;
            left = List.copyOf(tasks);
            tasks.clear();
        }
        for (Threads.Task<?> task : left) {
            task.completeExceptionally(new IOException("the target's thread has ended"));
        }
        failWaiting(new IOException("the target is closed"));
    }

    private void work() {
        boolean tasksTurn = true;
        while (true) {
            Threads.Task<?> task = null;
            EraWorker worker = null;
            synchronized (lock) {
                Threads.await(() -> {
                    while (tasks.isEmpty() && !closed && (running == null || !woken && !again)) {
                        parked = true;
                        lock.wait();
                    }
                });
                parked = false;
                boolean passDue = running != null && (woken || again) && !closed;
                // In turn: many who ask hold up no write, and writes nobody who asks.
                if (!passDue || tasksTurn) {
                    task = tasks.poll();
                }
                if (task == null) {
                    if (closed) {
                        break;
                    }
                    woken = false;
                    worker = running;
                }
                tasksTurn = task == null;
            }
            if (task != null) {
                task.run();
            } else {
                again = pass(worker);
            }
        }
    }

    private boolean pass(EraWorker worker) {
        try {
            return broken == null && worker.pass(intake);
        } catch (RuntimeException | Error e) {
            broken = new IOException("internal error in the metadata worker: " + e, e);
            try {
                onFailure.accept(broken);
            } finally {
                failWaiting(broken);
            }
            return false;
        }
    }

    private void failWaiting(IOException why) {
        Consumer<IOException> writes;
        List<EraWorker.Call> left;
        synchronized (lock) {
            writes = waiting.takeAll();
            left = calls;
            calls = new ArrayList<>();
        }
        writes.accept(why);
        for (EraWorker.Call call : left) {
            call.done(why);
        }
    }

    private final EraWorker.Work intake = new EraWorker.Work() {
        @Override
        public EraWorker.Writes takeWrites() {
            MarkQueue.Batch batch = takeBatch();
            if (batch != null) {
                try {
                    beforeMarks.accept(batch.blocks());
                } catch (RuntimeException | Error e) {
                    // Nobody else knows of them any more.
                    batch.failed(e);
                    throw e;
                }
            }
            return batch;
        }

        private MarkQueue.Batch takeBatch() {
            synchronized (lock) {
                MarkQueue.Batch batch = waiting.take();
                woken |= !waiting.isEmpty();
                return batch;
            }
        }

        @Override
        public List<EraWorker.Call> takeCalls() {
            synchronized (lock) {
                if (calls.isEmpty()) {
                    return List.of();
                }
                List<EraWorker.Call> taken = calls;
                calls = new ArrayList<>();
                Collections.reverse(taken);
                return taken;
            }
        }
    };
}
