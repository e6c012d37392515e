// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.Threads;

/**
 * Counts the requests in flight, and can hold new ones back until the counted ones are done: what a suspend needs.
 *
 * <p>While the gate is open, passing costs one atomic add on a counter that threads rarely share, and one volatile read.
 * A request adds itself to the counter first and looks at {@code held} second; whoever closes the gate sets {@code held}
 * first and reads the counters second. So one of the two always sees the other, and a counter that was zero once after
 * the gate closed holds no request that got through.
 *
 * <p>Those that are held back when the gate is opened go in the order in which they came, each when the one before it is
 * done, so that of two writes to the same place the later one stays. Only then is the gate open for all. A request whose
 * client has left in the meantime does not go at all.
 */
final class IoGate {
    /** Counters, a power of two: threads spread over them by their id. */
    private static final int STRIPES = 16;
    /** Longs between two counters, so that no two share a pair of cache lines. */
    private static final int STRIDE = 16;
    /** In what {@link #enter} returns: the next one goes when this one is done. */
    private static final int IN_TURN = 1 << 30;
    /** How often one that waits looks whether its client is still there: the client's connection is let go then. */
    private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    /** A request that is held back. */
    private record Held(long number, Condition turn) {}

    private final AtomicLongArray inFlight = new AtomicLongArray(STRIPES * STRIDE);
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition drained = lock.newCondition();
    private volatile boolean held;
    private volatile boolean shut;

    // Guarded by lock.
    private final ArrayDeque<Held> queue = new ArrayDeque<>();
    private long lastNumber;
    /** Those up to {@code lastReleased} are being let go, one after the other. */
    private boolean releasing;

    private long lastReleased;
    /** One of them is under way. */
    private boolean turnTaken;

    /**
     * Lets a request through, waiting while the gate is held.
     *
     * @return what {@link #exit} wants, on whatever thread that is called
     * @throws ErrnoException ESHUTDOWN when the device went away, or the client
     */
    @SuppressWarnings("deprecation") // Thread.threadId() came with Java 19
    int enter() throws ErrnoException {
        int counter = (int) (Thread.currentThread().getId() & STRIPES - 1) * STRIDE;
        inFlight.getAndIncrement(counter);
        if (!held) {
            return counter;
        }
        exit(counter);
        Client client = Client.pause();
        int pass;
        try {
            pass = awaitTurn(counter, client);
        } finally {
            Client.resume(client);
        }
        try {
            Client.requireHere(client);
            return pass;
        } catch (ErrnoException e) {
            exit(pass);
            throw e;
        }
    }

    /** The request that got {@code pass} from {@link #enter} is done. */
    void exit(int pass) {
        inFlight.getAndDecrement(pass & ~IN_TURN);
        if (held) {
            lock.lock();
            try {
                if ((pass & IN_TURN) != 0) {
                    turnTaken = false;
                    letNext();
                }
                drained.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    /** Holds new requests back, and returns when none is in flight any more. Holding a held gate waits again. */
    void hold() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            held = true;
            releasing = false;
            for (int i = 0; i < STRIPES; i++) {
                while (inFlight.get(i * STRIDE) != 0) {
                    drained.await();
                }
            }
        } finally {
            lock.unlock();
        }
    }

    /** Lets the held requests go. */
    void release() {
        lock.lock();
        try {
            if (!shut) {
                releasing = held;
                lastReleased = lastNumber;
                letNext();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Fails the held requests and all that come later: the device is gone. */
    void shut() {
        lock.lock();
        try {
            shut = true;
            held = true;
            signalAll();
        } finally {
            lock.unlock();
        }
    }

    boolean isHeld() {
        return held;
    }

    /** With the lock, while releasing: the next one's turn, or the gate is open. */
    private void letNext() {
        if (!releasing || turnTaken) {
            return;
        }
        Held next = queue.peekFirst();
        if (next != null && next.number <= lastReleased) {
            next.turn.signal();
        } else {
            releasing = false;
            held = shut;
            signalAll();
        }
    }

    private void signalAll() {
        for (Held each : queue) {
            each.turn.signal();
        }
    }

    private int awaitTurn(int counter, Client client) throws ErrnoException {
        lock.lock();
        try {
            Held self = new Held(++lastNumber, lock.newCondition());
            queue.addLast(self);
            try {
                Threads.await(() -> {
                    while (!mayGo(self)) {
                        Client.requireHere(client);
                        self.turn.awaitNanos(LOOK_NANOS);
                    }
                });
                inFlight.getAndIncrement(counter);
                turnTaken |= held;
                return held ? counter | IN_TURN : counter;
            } finally {
                queue.remove(self);
                letNext();
            }
        } finally {
            lock.unlock();
        }
    }

    private boolean mayGo(Held self) throws ErrnoException {
        if (shut) {
            throw new ErrnoException("I/O on a device that was removed", Errno.ESHUTDOWN);
        }
        return !held || releasing && !turnTaken && self.equals(queue.peekFirst()) && self.number <= lastReleased;
    }
}
