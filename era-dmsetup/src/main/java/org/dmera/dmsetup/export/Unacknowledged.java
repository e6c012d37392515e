// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dmera.core.linux.PeerPoll;
import org.dmera.dmsetup.targets.FailureText;

/**
 * Finds a TCP client that vanished while answers are owed to it, which keepalive does not ask: it has acknowledged nothing
 * for a minute, though it was asked. TCP_USER_TIMEOUT would also end the connection of a client that is there and takes
 * nothing for so long, as one does that waits for its own disk, or for the next tape.
 */
final class Unacknowledged implements Runnable {
    private static final int LIMIT_MILLIS = 60_000;
    private static final long LOOK_SECONDS = 10;

    private final PeerPoll poll;
    private final Consumer<String> gone;
    /** A client may have been asked just now, and answer. */
    private boolean asked;

    private Unacknowledged(PeerPoll poll, Consumer<String> gone) {
        this.poll = poll;
        this.gone = gone;
    }

    /** Looks until the result is cancelled; tells {@code gone} why the client of {@code poll} is taken for that. */
    static Future<?> watch(PeerPoll poll, ScheduledExecutorService timer, Consumer<String> gone) {
        Unacknowledged watch = new Unacknowledged(poll, gone);
        return timer.scheduleWithFixedDelay(watch, LOOK_SECONDS, LOOK_SECONDS, TimeUnit.SECONDS);
    }

    @Override
    public void run() {
        boolean before = asked;
        try {
            asked = poll.isUnacknowledged(LIMIT_MILLIS);
        } catch (IOException e) {
            gone.accept(FailureText.of(e));
            return;
        }
        if (asked && before) {
            gone.accept("has acknowledged nothing for " + LIMIT_MILLIS / 1000 + " s");
        }
    }
}
