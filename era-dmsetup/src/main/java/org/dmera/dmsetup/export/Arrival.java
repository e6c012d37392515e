// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.targets.Client;

/**
 * When what a client wants changed may be what it has sent before, by another way that broke: with its first request, and the
 * first after a pause. Then it is served only when nothing of those who have left is on its way any more.
 */
final class Arrival {
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

    private final Served served;
    private final Client client;
    private boolean due = true;

    /** That of {@code client}, one of {@code served}. */
    Arrival(Served served, Client client) {
        this.served = served;
        this.client = client;
    }

    /** The next request has come after so long without one. */
    void waited(long nanos) {
        due |= nanos >= PAUSE_NANOS;
    }

    /** Whether {@link #await} has something to wait for. */
    boolean isDue() {
        return due;
    }

    /** Returns when a change may be made. */
    void await() {
        if (due) {
            served.awaitThoseGone(client);
            due = false;
        }
    }
}
