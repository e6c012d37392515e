// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** A fixed set of threads whose jobs fail with the exception that they threw. Daemons: they never keep a tool alive. */
public final class Workers implements Closeable {
    private final ExecutorService executor;

    /**
     * Makes the threads.
     *
     * @param name of each
     * @param threads how many
     */
    public Workers(String name, int threads) {
        executor = Executors.newFixedThreadPool(threads, job -> {
            Thread thread = new Thread(job, name);
            thread.setDaemon(true);
            return thread;
        });
    }

    /**
     * {@return a job that some thread will do}
     *
     * @param job what to do
     * @param <T> its result
     */
    public <T> Future<T> submit(Callable<T> job) {
        return executor.submit(job);
    }

    /**
     * {@return the job's result}
     *
     * @param job what to wait for
     * @param <T> its result
     * @throws IOException that it threw, or an {@link InterruptedIOException}
     */
    public static <T> T await(Future<T> job) throws IOException {
        try {
            return job.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            }
            if (e.getCause() instanceof RuntimeException runtime) {
                throw runtime;
            }
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new IOException(e.getCause());
        }
    }

    /**
     * Ends the threads once their present jobs are done, so that no buffer or channel is in use afterwards: also in a thread
     * that is interrupted, which it stays.
     */
    @Override
    public void close() {
        executor.shutdownNow();
        boolean interrupted = Thread.interrupted();
        boolean ended = false;
        while (!ended) {
            try {
                ended = executor.awaitTermination(1, TimeUnit.HOURS);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
