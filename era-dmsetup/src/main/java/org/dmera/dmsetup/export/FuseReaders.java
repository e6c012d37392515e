// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.InputPoll;

/**
 * Which of the threads that can read a file's requests do.
 *
 * <p>Of short requests one thread serves more than several do: those would be woken for each. Long ones, and those that wait
 * for a disk, are better served side by side. So the first thread always reads; it lets the others read for the next
 * {@value #LONG_SHARE} requests whenever one is long, and for the next {@value #SLOW_SHARE} when some took long. Those
 * that don't read look after it, a hundred times a second while it is at work: where it has been in a single request since they
 * last looked they send what it has answered, and read themselves. (A thousand times a second cost a fifth of the rate.)
 */
final class FuseReaders {
    private static final int LONG_SHARE = 64;
    private static final int SLOW_SHARE = 16;
    private static final long LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

    private final int others;
    /** How many requests more the others may read. */
    private final AtomicInteger shared = new AtomicInteger();
    /** How many of the others serve a request now, which may take any time. */
    private final AtomicInteger atWork = new AtomicInteger();
    /** Goes up when the first thread begins a request, and when it has done with it: odd while it serves one. */
    private final AtomicLong turn = new AtomicLong();

    private final Set<Thread> resting = ConcurrentHashMap.newKeySet();
    /** Whether the first thread sleeps for want of requests. */
    private volatile boolean idle;
    /** Whether the first thread has ended. */
    private volatile boolean over;
    /** Those of the first thread. */
    private volatile FuseAnswers answers;

    /** For the first of {@code count} threads. */
    FuseReaders(int count) {
        others = count - 1;
    }

    // ---- for the first thread

    void begin(FuseAnswers firstsAnswers) {
        answers = firstsAnswers;
    }

    void turn() {
        turn.lazySet(turn.getPlain() + 1);
    }

    /** Sleeps until there is a request. */
    void sleep(InputPoll input) throws ErrnoException {
        idle = true;
        try {
            input.await();
        } finally {
            idle = false;
        }
    }

    /** Whether it may keep answers: while one of the others is free to look after it. */
    boolean mayHold() {
        return atWork.get() < others;
    }

    /** After a request that did not take long. */
    void countShort() {
        if (shared.get() > 0) {
            shared.getAndDecrement();
        }
    }

    void end() {
        over = true;
        wake();
    }

    // ---- for all

    /** Before a request that will take a while. */
    void shareLong() {
        share(LONG_SHARE);
    }

    /** After a request that did, though it is short, and many of the last ones did. */
    void shareSlow() {
        share(SLOW_SHARE);
    }

    private void share(int requests) {
        if (shared.get() < requests) {
            shared.set(requests);
        }
        wake();
    }

    private void wake() {
        if (!resting.isEmpty()) {
            resting.forEach(LockSupport::unpark);
        }
    }

    // ---- for the others

    /** Before a request, after which {@link #endWork} follows; sends what the first has answered. */
    void beginWork() throws ErrnoException {
        atWork.getAndIncrement();
        // Either this thread sees an answer that was kept before, or the first that it must not keep another.
        answers.send();
    }

    void endWork() {
        atWork.getAndDecrement();
    }

    /** One of the others has ended, and looks after nobody any more. */
    void endOther() {
        atWork.getAndIncrement();
    }

    boolean mayRead() {
        return shared.get() > 0 || over;
    }

    /** Returns when {@link #mayRead} may say true, or after a while. */
    void rest(InputPoll input) throws ErrnoException {
        if (idle) {
            input.await();
        }
        long seen = turn.get();
        Thread self = Thread.currentThread();
        resting.add(self);
        try {
            if (!mayRead()) {
                LockSupport.parkNanos(this, LOOK_NANOS);
            }
        } finally {
            resting.remove(self);
        }
        if ((seen & 1) == 1 && turn.get() == seen && !mayRead()) {
            share(SLOW_SHARE);
            answers.send();
        }
    }
}
