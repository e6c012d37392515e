// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.concurrent.atomic.AtomicLongArray;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/**
 * Counts the requests in flight, and can hold new ones back until the counted ones are done: what a suspend needs.
 *
 * <p>While the gate is open, passing costs one atomic add on a counter that threads rarely share, and one volatile read.
 * A request adds itself to the counter first and looks at {@code held} second; whoever closes the gate sets {@code held}
 * first and reads the counters second. So one of the two always sees the other, and a counter that was zero once after
 * the gate closed holds no request that got through.
 */
final class IoGate {
    /** Counters, a power of two: threads spread over them by their id. */
    private static final int STRIPES = 16;
    /** Longs between two counters, so that no two share a pair of cache lines. */
    private static final int STRIDE = 16;

    private final AtomicLongArray inFlight = new AtomicLongArray(STRIPES * STRIDE);
    private final Object lock = new Object();
    private volatile boolean held;
    private volatile boolean shut;

    /**
     * Lets a request through, waiting while the gate is held.
     *
     * @return what {@link #exit} wants, on whatever thread that is called
     * @throws ErrnoException ESHUTDOWN when the device went away
     */
    @SuppressWarnings("deprecation") // Thread.threadId() came with Java 19
    int enter() throws ErrnoException {
        int counter = (int) (Thread.currentThread().getId() & STRIPES - 1) * STRIDE;
        while (true) {
            inFlight.getAndIncrement(counter);
            if (!held) {
                return counter;
            }
            exit(counter);
            awaitOpen();
        }
    }

    /** The request that got {@code counter} from {@link #enter} is done. */
    void exit(int counter) {
        inFlight.getAndDecrement(counter);
        if (held) {
            synchronized (lock) {
                lock.notifyAll();
            }
        }
    }

    /** Holds new requests back, and returns when none is in flight any more. Holding a held gate waits again. */
    void hold() throws InterruptedException {
        synchronized (lock) {
            held = true;
            for (int i = 0; i < STRIPES; i++) {
                while (inFlight.get(i * STRIDE) != 0) {
                    lock.wait();
                }
            }
        }
    }

    /** Lets the held requests go. */
    void release() {
        synchronized (lock) {
            held = shut;
            lock.notifyAll();
        }
    }

    /** Fails the held requests and all that come later: the device is gone. */
    void shut() {
        synchronized (lock) {
            shut = true;
            held = true;
            lock.notifyAll();
        }
    }

    boolean isHeld() {
        return held;
    }

    private void awaitOpen() throws ErrnoException {
        boolean interrupted = false;
        synchronized (lock) {
            while (held && !shut) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (shut) {
            throw new ErrnoException("I/O on a device that was removed", Errno.ESHUTDOWN.number());
        }
    }
}
