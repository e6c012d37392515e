// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * What a signal does, which ends the JVM through its hooks: it stops the backup that runs, and waits until what that holds
 * is gone, and the metrics written.
 */
final class SignalHook implements Closeable {
    /** systemd kills after 90 seconds. */
    private static final long PATIENCE_SECONDS = 60;

    private final CountDownLatch done = new CountDownLatch(1);
    /** The backup that runs, or ran last; null before the first. Guarded by this. */
    private Backup current;

    private boolean come;

    SignalHook() throws IOException {
        try {
            Runtime.getRuntime().addShutdownHook(new Thread(this::signal));
        } catch (IllegalStateException e) {
            // It came before.
            throw Backup.interrupted(null);
        }
    }

    private void signal() {
        if (stop()) {
            await();
        }
    }

    private void await() {
        try {
            if (!done.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                System.err.println("era_backup: interrupted; the next run drops the snapshots");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized boolean stop() {
        come = true;
        if (current == null) {
            return false;
        }
        current.stop();
        return true;
    }

    synchronized void begin(Backup backup) throws IOException {
        if (come) {
            throw Backup.interrupted(null);
        }
        current = backup;
    }

    synchronized boolean hasCome() {
        return come;
    }

    /** The last backup has come to its end: a signal from now on waits for nothing. Returns whether one has come before. */
    synchronized boolean end() {
        current = null;
        return come;
    }

    @Override
    public void close() {
        done.countDown();
    }
}
