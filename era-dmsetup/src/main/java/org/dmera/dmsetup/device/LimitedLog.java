// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.dmsetup.targets.Threads;

/**
 * A log of which clients can have lines written: of each cause no more of them in a time than somebody would read, so that a
 * storm of one hides no other; and when the time is over, how many there were besides.
 */
public final class LimitedLog implements AutoCloseable {
    /** Of one cause in the time. */
    public static final int LINES = 10;

    private static final class Window {
        long began;
        int lines;
        long left;
        /** Tells of those. */
        Future<?> end;
    }

    private final Consumer<String> log;
    private final long nanos;
    private final ScheduledThreadPoolExecutor timer;
    private final Map<String, Window> windows = new HashMap<>();

    /** At most {@value #LINES} lines of one cause in {@code time} go to {@code log}. */
    public LimitedLog(Consumer<String> log, Duration time) {
        this.log = log;
        this.nanos = time.toNanos();
        this.timer = new ScheduledThreadPoolExecutor(1, task -> Threads.daemon("limited log", task));
        timer.setKeepAliveTime(1, TimeUnit.SECONDS);
        timer.allowCoreThreadTimeOut(true);
    }

    /**
     * Writes a line, or counts it.
     *
     * @param cause one of a few fixed texts, of what there are many: {@code nbd: clients that left in the middle}
     * @param line made only if it is written
     */
    public synchronized void accept(String cause, Supplier<String> line) {
        Window window = windows.computeIfAbsent(cause, unused -> new Window());
        long now = System.nanoTime();
        if (window.lines > 0 && now - window.began >= nanos) {
            tell(cause);
        }
        if (window.lines == 0) {
            window.began = now;
        }
        if (window.lines < LINES) {
            window.lines++;
            log.accept(line.get());
            return;
        }
        if (window.left++ == 0) {
            try {
                window.end = timer.schedule(() -> tell(cause), nanos - (now - window.began), TimeUnit.NANOSECONDS);
            } catch (RejectedExecutionException e) {
                // It is closed already: told at once, for nobody would later.
                tell(cause);
            }
        }
    }

    /** The time is over. */
    private synchronized void tell(String cause) {
        Window window = windows.get(cause);
        if (window.end != null) {
            window.end.cancel(false);
            window.end = null;
        }
        if (window.left > 0) {
            log.accept(cause + ": " + window.left + " more lines like these were left out");
        }
        window.left = 0;
        window.lines = 0;
    }

    /** Tells what was left out so far. */
    @Override
    public synchronized void close() {
        timer.shutdownNow();
        windows.keySet().forEach(this::tell);
    }
}
