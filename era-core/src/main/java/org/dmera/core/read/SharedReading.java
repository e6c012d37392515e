// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.Executor;

/**
 * Reading that the caller's thread shares with others. It waits for all of them before it goes on, for it closes the device that
 * they read; and what has ended one of them is thrown by it.
 */
public abstract class SharedReading implements Runnable {
    private final String what;
    private Throwable failure;
    private int running;

    /** {@code what} is read, for messages: {@code the era array}. */
    protected SharedReading(String what) {
        this.what = what;
    }

    /** Reads what no other thread has taken, until nothing is left. */
    protected abstract void read() throws IOException;

    /**
     * Reads on {@code threads} threads, of which {@code executor} runs all but the caller's; returns when all are done.
     *
     * @throws InterruptedIOException when the caller's thread was interrupted, which says nothing about the device
     */
    public final void share(int threads, Executor executor) throws IOException {
        running = threads;
        for (int i = 1; i < threads; i++) {
            executor.execute(this);
        }
        run();
        awaitOthers();
        if (failure instanceof IOException e) {
            throw e;
        }
        if (failure instanceof Error e) {
            // Want of memory, for one, is no fault of this program, and is told as what it is.
            throw e;
        }
        if (failure != null) {
            throw new IllegalStateException("a thread that read " + what + " failed", failure);
        }
    }

    @Override
    public final void run() {
        Throwable end = null;
        try {
            read();
        } catch (IOException | RuntimeException | Error e) {
            end = e;
        }
        done(end);
    }

    private synchronized void done(Throwable end) {
        failure = failure == null ? end : failure;
        running--;
        notifyAll();
    }

    /** Whether a thread has failed, so that the others needn't go on. */
    protected final synchronized boolean hasFailed() {
        return failure != null;
    }

    private synchronized void awaitOthers() throws InterruptedIOException {
        while (running > 0) {
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted while " + what + " was read");
            }
        }
    }
}
