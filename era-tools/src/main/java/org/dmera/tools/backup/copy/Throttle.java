// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.InterruptedIOException;
import java.util.concurrent.TimeUnit;

/** Keeps the average rate below a limit: whoever takes bytes waits until they are due. */
final class Throttle {
    /** How far behind the schedule may fall and be caught up at full speed. */
    private static final long BURST_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    private final long bytesPerSecond;
    private long dueNanos = System.nanoTime();

    /** 0: no limit. */
    Throttle(long bytesPerSecond) {
        this.bytesPerSecond = bytesPerSecond;
    }

    void take(long bytes) throws InterruptedIOException {
        if (bytesPerSecond == 0) {
            return;
        }
        long now = System.nanoTime();
        dueNanos = Math.max(dueNanos, now - BURST_NANOS);
        long wait = dueNanos - now;
        dueNanos += (long) (bytes * 1e9 / bytesPerSecond);
        if (wait > 0) {
            try {
                TimeUnit.NANOSECONDS.sleep(wait);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted");
            }
        }
    }
}
