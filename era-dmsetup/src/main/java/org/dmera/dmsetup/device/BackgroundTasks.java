// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Runs the tasks of one device on a bounded number of threads: a commit lets thousands of writes go at once, and when what
 * is beneath the device stalls, a thread for each of them would take all threads that the process may have.
 *
 * <p>Each device has its own, so that one that stalls holds up no other, not even one that is stacked on it. A thread is
 * there before a task is promised: who asks {@link #reserve} in vain does it itself, and {@link #execute}, which the thread
 * that owns the metadata calls, neither fails nor allocates.
 *
 * <p>A task's second half waits for a client, for as long as that likes. Threads that are in it count only up to a number,
 * so that clients that take no answers don't use up the threads that write.
 */
final class BackgroundTasks {
    /** More of them than this make no storage faster. */
    static final int MAX_RUNNING = 32;
    /** So many of those may be answering; each further one has another take its place. */
    private static final int MAX_ANSWERING = 16;

    private static final long LINGER_NANOS = TimeUnit.SECONDS.toNanos(1);

    /** What is to be done; a link of the queue itself, so that queueing can't fail. */
    abstract static class Task {
        private Task next;

        /** Does it. One that throws is not answered. */
        abstract void run();

        /** Tells the client. May take as long as it likes. */
        abstract void answer();
    }

    private final Executor threads;
    private Task head;
    private Task tail;
    private int queued;
    /** Tasks that were promised and have not come yet. */
    private int reserved;
    /** Threads: all, those that wait for work, and those that are answering. */
    private int running;

    private int idle;
    private int answering;

    /** {@code threads} runs what it is given at once, each on a thread of its own, or throws. */
    BackgroundTasks(Executor threads) {
        this.threads = threads;
    }

    /** Makes sure that a task can be executed later; then one {@link #execute} or {@link #cancel} follows. */
    synchronized boolean reserve() {
        if (running == answering && !isStarted()) {
            return false;
        }
        reserved++;
        return true;
    }

    /** The promised task won't come. */
    synchronized void cancel() {
        reserved--;
    }

    /** Runs {@code task} soon, for which there is a reservation. */
    synchronized void execute(Task task) {
        if (tail == null) {
            head = task;
        } else {
            tail.next = task;
        }
        tail = task;
        queued++;
        reserved--;
        notify();
        startIfOfUse();
    }

    /** With the lock. Without a further thread those that are there do the work. */
    private void startIfOfUse() {
        if (idle < queued && running - Math.max(0, answering - MAX_ANSWERING) < MAX_RUNNING) {
            isStarted();
        }
    }

    /** False when the process may have no more threads just now; the next task tries again. */
    private boolean isStarted() {
        try {
            threads.execute(this::work);
        } catch (RuntimeException | Error e) {
            return false;
        }
        running++;
        return true;
    }

    private void work() {
        Task task;
        while ((task = next()) != null) {
            boolean answers = false;
            try {
                task.run();
                answers = true;
                count(1);
                task.answer();
            } catch (RuntimeException | Error e) {
                // The others in the queue need this thread.
                Thread self = Thread.currentThread();
                self.getUncaughtExceptionHandler().uncaughtException(self, e);
            } finally {
                if (answers) {
                    count(-1);
                }
            }
        }
    }

    private synchronized void count(int answers) {
        answering += answers;
        if (answers > 0) {
            startIfOfUse();
        }
    }

    /** The next task, or null when this thread is no longer needed. */
    private synchronized Task next() {
        long end = System.nanoTime() + LINGER_NANOS;
        for (long left = LINGER_NANOS; head == null && (left > 0 || reserved > 0); left = end - System.nanoTime()) {
            idle++;
            try {
                // Also one that stays for a promise looks again now and then: another thread may keep that.
                TimeUnit.NANOSECONDS.timedWait(this, left > 0 ? left : LINGER_NANOS);
            } catch (InterruptedException e) {
                // Nobody interrupts these threads on purpose; whoever is promised a thread keeps it.
                end = System.nanoTime();
            } finally {
                idle--;
            }
        }
        Task task = head;
        if (task == null) {
            running--;
            return null;
        }
        head = task.next;
        task.next = null;
        if (head == null) {
            tail = null;
        }
        queued--;
        return task;
    }
}
