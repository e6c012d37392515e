// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/** A device's event counter, and those who wait for it to move. A removal waits until they have seen the last event. */
public final class DeviceEvents {
    private int number;
    private int waiters;
    private boolean gone;

    /** How many events there were; unsigned. */
    public synchronized int number() {
        return number;
    }

    /** How many wait for the next event. */
    public synchronized int waiting() {
        return waiters;
    }

    /** Counts an event and wakes who waits. */
    public synchronized void raise() {
        number++;
        notifyAll();
    }

    /** Counts the event that the device goes; nobody waits after that. */
    synchronized void raiseLast() {
        gone = true;
        raise();
    }

    /**
     * Waits until the number differs from {@code seen}, then runs {@code then}; a removal waits for that.
     *
     * @param abandoned asked every second; true ends the wait
     * @return false when it was abandoned
     * @throws IOException what {@code then} failed with
     */
    public boolean await(int seen, BooleanSupplier abandoned, Failures.Step then)
            throws IOException, InterruptedException {
        synchronized (this) {
            waiters++;
        }
        try {
            if (!await(seen, abandoned)) {
                return false;
            }
            then.run();
            return true;
        } finally {
            leave();
        }
    }

    private synchronized boolean await(int seen, BooleanSupplier abandoned) throws InterruptedException {
        while (number == seen && !gone) {
            if (abandoned.getAsBoolean()) {
                return false;
            }
            TimeUnit.SECONDS.timedWait(this, 1);
        }
        return true;
    }

    private synchronized void leave() {
        waiters--;
        notifyAll();
    }

    /** Waits until nobody waits any more; after {@link #raiseLast}. */
    synchronized void awaitNoWaiters() {
        Threads.awaitWhile(this, () -> waiters > 0);
    }
}
