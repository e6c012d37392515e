// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/** A device's event counter, and those who wait for it to move. A removal waits until they have seen the last event. */
public final class DeviceEvents {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private int number;
    private int waiters;
    private boolean gone;

    /** How many events there were; unsigned. */
    public int number() {
        lock.lock();
        try {
            return number;
        } finally {
            lock.unlock();
        }
    }

    /** How many wait for the next event. */
    public int waiting() {
        lock.lock();
        try {
            return waiters;
        } finally {
            lock.unlock();
        }
    }

    /** Counts an event and wakes who waits. */
    public void raise() {
        raise(false);
    }

    /** Counts the event that the device goes; nobody waits after that. */
    void raiseLast() {
        raise(true);
    }

    private void raise(boolean last) {
        lock.lock();
        try {
            number++;
            gone |= last;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Waits until the number differs from {@code seen}, then runs {@code then}; a removal waits for that.
     *
     * @param abandoned asked every second; true ends the wait
     * @return false when it was abandoned
     */
    public boolean await(int seen, BooleanSupplier abandoned, Runnable then) throws InterruptedException {
        lock.lock();
        try {
            waiters++;
            while (number == seen && !gone) {
                if (abandoned.getAsBoolean()) {
                    leave();
                    return false;
                }
                changed.awaitNanos(TimeUnit.SECONDS.toNanos(1));
            }
        } catch (InterruptedException e) {
            leave();
            throw e;
        } finally {
            lock.unlock();
        }
        try {
            then.run();
        } finally {
            leave();
        }
        return true;
    }

    private void leave() {
        lock.lock();
        try {
            waiters--;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until nobody waits any more; after {@link #raiseLast}. */
    void awaitNoWaiters() {
        lock.lock();
        try {
            while (waiters > 0) {
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }
}
