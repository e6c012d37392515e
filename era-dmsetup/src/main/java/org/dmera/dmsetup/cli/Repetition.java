// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * {@code --count} and {@code --interval}: a report again and again. Once without either; without an end when the interval
 * alone is given, or the count is 0.
 */
final class Repetition {
    /** Writes one report. */
    @FunctionalInterface
    interface Step {
        /** Returns false when something was missing, which ends it. */
        boolean run() throws IOException;
    }

    private Repetition() {}

    /** Reports, with an empty line between two. */
    static boolean run(Session session, Step step) throws IOException {
        return run(session, "\n", step);
    }

    /** Whatever is printed, with {@code between} between two. */
    static boolean run(Session session, String between, Step step) throws IOException {
        int count = session.has(Switch.COUNT) ? session.switches().number(Switch.COUNT) : 0;
        boolean once = !session.has(Switch.COUNT) && !session.has(Switch.INTERVAL);
        for (int done = 1; ; done++) {
            boolean succeeded = step.run();
            // A reader that has gone ends it too.
            if (once || !succeeded || done == count || session.out().checkError()) {
                return succeeded;
            }
            session.out().print(between);
            session.out().flush();
            pause(session);
        }
    }

    /** Waits between two reports. */
    static void pause(Session session) throws CommandLineException {
        int seconds = session.has(Switch.INTERVAL) ? session.switches().number(Switch.INTERVAL) : 1;
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        for (long left = end - System.nanoTime(); left > 0; left = end - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }
}
