// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiConsumer;
import org.dmera.dmsetup.targets.Threads;

/**
 * Has answers sent that are held back for a request that takes long: answers are collected while more of them are about to come,
 * and the next may hang for as long as a disk does.
 *
 * <p>One thread looks, some dozens of times a second, and only while there is something to look for: who holds answers says so,
 * which costs a look at a variable. What was held when it looked before and still is, is sent by a thread of its own, since a
 * client may take its answers as late as it likes.
 */
final class AnswerWatch {
    /** One who may hold answers. */
    interface Holder {
        /** Whether answers are held, the same as when this was last asked. */
        boolean isStuck();

        /** Whether answers are held. */
        boolean holds();

        /** Sends what is held if nobody else does. */
        void sendHeld();
    }

    private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(20);
    /** After so many looks in which nobody held anything the thread ends. */
    private static final int IDLE_LOOKS = 50;

    private final Set<Holder> holders = ConcurrentHashMap.newKeySet();
    private final BiConsumer<String, Runnable> threads;
    private volatile boolean looking;

    AnswerWatch() {
        this(Threads::start);
    }

    /** One whose threads, by name and task, {@code threads} starts, or fails to as {@link Thread#start} does. */
    AnswerWatch(BiConsumer<String, Runnable> threads) {
        this.threads = threads;
    }

    void add(Holder holder) {
        holders.add(holder);
    }

    void remove(Holder holder) {
        holders.remove(holder);
    }

    /** Answers are held now. */
    void expect() {
        if (!looking) {
            start();
        }
    }

    private synchronized void start() {
        if (!looking) {
            looking = isStarted("answers of nbd", this::look);
        }
    }

    /** False when the process may have no more threads just now: what was to be done is found again. */
    private boolean isStarted(String name, Runnable task) {
        try {
            threads.accept(name, task);
            return true;
        } catch (OutOfMemoryError e) {
            return false;
        }
    }

    private void look() {
        int idle = 0;
        while (idle < IDLE_LOOKS) {
            LockSupport.parkNanos(this, LOOK_NANOS);
            idle = isAnyHeld(true) ? 0 : idle + 1;
        }
        looking = false;
        // Who holds something either finds that nobody looks, or is found here.
        if (isAnyHeld(false)) {
            expect();
        }
    }

    /** Whether answers are held; {@code send}: those that are stuck are sent. */
    private boolean isAnyHeld(boolean send) {
        boolean held = false;
        try {
            for (Holder holder : holders) {
                if (send && holder.isStuck()) {
                    isStarted("held answers of nbd", holder::sendHeld);
                }
                held |= holder.holds();
            }
        } catch (OutOfMemoryError e) {
            // Some may be: this is done again in a moment.
            return true;
        }
        return held;
    }
}
