// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** The engine's threads, none of which keeps the process, and waits that an interrupt does not end. */
public final class Threads {
    private Threads() {}

    /** A thread that is still to be started. */
    public static Thread daemon(String name, Runnable task) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        return thread;
    }

    /** The same, which runs already. */
    public static Thread start(String name, Runnable task) {
        Thread thread = daemon(name, task);
        thread.start();
        return thread;
    }

    /**
     * What is waited for.
     *
     * @param <E> what it may end with
     */
    public interface Wait<E extends Exception> {
        void until() throws InterruptedException, E;
    }

    /**
     * Waits, again after an interrupt, which is left for whoever looks for one next. What is waited for may have come with the
     * interrupt, so {@code wait} begins with a look at it.
     */
    public static <E extends Exception> void await(Wait<E> wait) throws E {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    wait.until();
                    return;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Waits, with {@code monitor}, while a condition holds; whoever changes that notifies the monitor. As {@link #await}. */
    public static void awaitWhile(Object monitor, BooleanSupplier condition) {
        await(() -> {
            while (condition.getAsBoolean()) {
                monitor.wait();
            }
        });
    }

    /**
     * The same, for so long at most; an interrupt, which is left for whoever looks for one next, ends it too.
     *
     * @return false when the condition still holds
     */
    public static boolean awaitWhile(Object monitor, long nanos, BooleanSupplier condition) {
        long began = System.nanoTime();
        try {
            for (long left = nanos; condition.getAsBoolean(); left = nanos - (System.nanoTime() - began)) {
                if (left <= 0) {
                    return false;
                }
                TimeUnit.NANOSECONDS.timedWait(monitor, left);
            }
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return !condition.getAsBoolean();
        }
    }

    /**
     * What a thread does for others, who {@linkplain #join wait} for it.
     *
     * @param <T> what it returns
     */
    public static final class Task<T> extends CompletableFuture<T> implements Runnable {
        private final Callable<T> action;

        public Task(Callable<T> action) {
            this.action = action;
        }

        @Override
        public void run() {
            try {
                complete(action.call());
            } catch (Exception | Error e) {
                completeExceptionally(e);
            }
        }
    }

    /** Waits for what another thread makes; what that has failed with is thrown. */
    public static <T> T join(CompletableFuture<T> result) throws IOException {
        try {
            return result.join();
        } catch (CompletionException e) {
            throw Failures.ofIo(e.getCause());
        }
    }
}
