// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * When a thread that waits for its client's next request looks again for a moment before it sleeps.
 *
 * <p>A client that waits for each answer sends its next request some ten microseconds after it got one. To put a thread to
 * sleep meanwhile and wake it on a processor that has gone idle takes longer than that, and longer than the request
 * itself. So what is not there yet is asked for again and again for {@value #NANOS} ns, and only then waited for. Where that
 * finds nothing, as with a client that thinks, it is tried more and more seldom.
 *
 * <p>For one thread, but for what all count together.
 */
final class BusyPoll {
    static final long NANOS = 50_000;
    /** Waits in a row that go without it, at most. */
    private static final int MAX_SKIPS = 256;

    /** Half of the processors look again, at most: the rest is for clients, and for threads that have work. */
    private static final int MAX_POLLING = Runtime.getRuntime().availableProcessors() / 2;

    private static final AtomicInteger POLLING = new AtomicInteger();

    /** How many waits go without after the next that finds nothing, and from now on. */
    private int penalty = 1;

    private int skips;
    private long end;

    /** Looks once; what it takes between two looks, which may not be nothing, is its own. */
    interface Look {
        boolean finds() throws IOException;
    }

    /** Looks again for a moment, if that is likely to be of use; whether something was found. */
    boolean look(Look look) throws IOException {
        if (!isDue() || !begin()) {
            return false;
        }
        try {
            do {
                if (look.finds()) {
                    found();
                    return true;
                }
            } while (goesOn());
        } finally {
            end();
        }
        missed();
        return false;
    }

    /** Whether this wait is one to look again in, as far as this thread goes. */
    boolean isDue() {
        if (MAX_POLLING == 0) {
            return false;
        }
        if (skips > 0) {
            skips--;
            return false;
        }
        return true;
    }

    /** Begins, if not too many threads do so already; then {@link #end} must follow. */
    boolean begin() {
        if (POLLING.getAndIncrement() < MAX_POLLING) {
            end = System.nanoTime() + NANOS;
            return true;
        }
        POLLING.getAndDecrement();
        return false;
    }

    /** Whether to look once more. */
    boolean goesOn() {
        return System.nanoTime() - end < 0;
    }

    void end() {
        POLLING.getAndDecrement();
    }

    /** It was worth it. */
    void found() {
        penalty = 1;
    }

    /** It was not. */
    void missed() {
        skips = penalty;
        penalty = Math.min(2 * penalty, MAX_SKIPS);
    }
}
