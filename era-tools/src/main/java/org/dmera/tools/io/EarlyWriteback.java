// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;

/**
 * A file that is to be made durable in the end, whose data go to the disk while it is still being written: left to the
 * kernel, they would wait in memory for the end, and the disk would idle meanwhile.
 *
 * <p>A thread syncs the file every 128 MiB. The kernel reports data that it couldn't write only once, to whoever syncs next;
 * so what is reported to the thread fails the writing, and {@link #finish}.
 */
class EarlyWriteback implements WritableByteChannel {
    private static final long STEP_BYTES = 128L << 20;

    private final FileChannel file;
    private final String name;
    private final long stepBytes;
    private long pendingBytes;
    private Thread thread;

    // The rest is guarded by this object's monitor.
    private boolean wanted;
    private boolean ending;
    private boolean ended;
    private Throwable failure;

    /** @param name what messages call it */
    EarlyWriteback(FileChannel file, String name) {
        this(file, name, STEP_BYTES);
    }

    EarlyWriteback(FileChannel file, String name, long stepBytes) {
        this.file = file;
        this.name = name;
        this.stepBytes = stepBytes;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
        int bytes;
        try {
            bytes = file.write(source);
        } catch (IOException e) {
            throw new IOException(name + ": " + e.getMessage(), e);
        }
        pendingBytes += bytes;
        if (pendingBytes >= stepBytes) {
            pendingBytes = 0;
            begin();
        }
        return bytes;
    }

    private synchronized void begin() throws IOException {
        rethrow();
        wanted = true;
        if (thread == null) {
            thread = new Syncer();
            thread.start();
        }
        notifyAll();
    }

    /** Waits for the thread, whose failure it throws. What was written last is still to be synced. */
    synchronized void finish() throws IOException {
        ending = true;
        notifyAll();
        try {
            while (thread != null && !ended) {
                wait();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while writing", e);
        }
        rethrow();
    }

    /** Ends the thread, whose failure is of no interest any more. */
    synchronized void abandon() {
        ending = true;
        notifyAll();
    }

    void sync() throws IOException {
        file.force(false);
    }

    private void rethrow() throws IOException {
        if (failure instanceof IOException e) {
            throw new IOException(name + ": making it durable failed: " + e.getMessage(), e);
        }
        if (failure != null) {
            throw new IllegalStateException("the thread that syncs the output failed", failure);
        }
    }

    /** Whether there is more to sync; waits for it. */
    private synchronized boolean awaitWanted() throws InterruptedException {
        while (!wanted && !ending) {
            wait();
        }
        // What is wanted at the end, who calls finish syncs.
        boolean more = wanted && !ending;
        wanted = false;
        return more;
    }

    private synchronized void end(Throwable reason) {
        failure = reason;
        ended = true;
        notifyAll();
    }

    @Override
    public boolean isOpen() {
        return file.isOpen();
    }

    /** The file is closed by whoever has opened it. */
    @Override
    public void close() {}

    private final class Syncer extends Thread {
        Syncer() {
            super("write-back");
            setDaemon(true);
        }

        @Override
        public void run() {
            Throwable reason = null;
            try {
                while (awaitWanted()) {
                    sync();
                }
            } catch (IOException | InterruptedException | RuntimeException | Error e) {
                reason = e;
            }
            end(reason);
        }
    }
}
