// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.time.Duration;
import java.util.function.Consumer;

/** A log of which clients can have lines written: no more of them in a time than somebody would read. */
final class LimitedLog implements Consumer<String> {
    private static final int LINES = 20;

    private final Consumer<String> log;
    private final Duration time;
    private long began = System.nanoTime();
    private int lines;

    /** At most {@value #LINES} lines in {@code time} go to {@code log}, and one that says that there were more. */
    LimitedLog(Consumer<String> log, Duration time) {
        this.log = log;
        this.time = time;
    }

    @Override
    public synchronized void accept(String line) {
        long now = System.nanoTime();
        if (now - began >= time.toNanos()) {
            began = now;
            lines = 0;
        }
        if (lines < LINES) {
            log.accept(line);
        } else if (lines == LINES) {
            log.accept("nbd: many connections end badly; more such lines are left out for up to " + time.toSeconds()
                    + " s");
        }
        lines++;
    }
}
