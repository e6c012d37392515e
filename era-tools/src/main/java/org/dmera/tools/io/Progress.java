// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import me.tongfei.progressbar.ProgressState;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.tools.cli.Console;

/**
 * A progress bar on standard error, for work that takes longer than a second on a terminal: never when it is piped, nor
 * under {@code --quiet}. Until a second has passed it costs a glance at the clock, and the library isn't loaded.
 */
public final class Progress implements Closeable {
    /** A second, unless a test is in a hurry. */
    private static final long DELAY_NANOS = Long.getLong("era.progress.millis", 1000) * 1_000_000;

    private static final long RATE_INTERVAL_NANOS = 200_000_000;
    private static final int STANDARD_ERROR = 2;

    private final String what;
    private final String unit;
    private final long unitSize;
    private final long total;
    private final long begunNanos = System.nanoTime();
    private boolean silent;
    private long done;
    private ProgressBar bar;
    private long rateShownNanos;

    /**
     * @param what the work, as the bar calls it
     * @param total of the units that {@link #add} counts, or −1 when it isn't known
     */
    public Progress(Console console, String what, String unit, long unitSize, long total) {
        this.what = what;
        this.unit = unit;
        this.unitSize = unitSize;
        this.total = total;
        this.silent = console.quiet();
    }

    /** So much more is done. To be called from any thread, as often as one likes. */
    public synchronized void add(long units) {
        done += units;
        if (bar != null) {
            bar.stepTo(done);
            showRate();
        } else if (!silent && System.nanoTime() - begunNanos > DELAY_NANOS) {
            show();
        }
    }

    private void show() {
        if (!onTerminal()) {
            silent = true;
            return;
        }
        bar = new ProgressBarBuilder()
                .setTaskName(what)
                .setInitialMax(total)
                .setUnit(unit, unitSize)
                .setEtaFunction(Progress::timeLeft)
                // As most of a terminal's fonts have it, whatever the locale.
                .setStyle(ProgressBarStyle.ASCII)
                .startsFrom(0, Duration.ofNanos(System.nanoTime() - begunNanos))
                .clearDisplayOnFinish()
                .build();
        bar.stepTo(done);
        showRate();
    }

    /** Since the work began: the library would count from when the bar came up, and knows nothing at first. */
    private void showRate() {
        long now = System.nanoTime();
        if (rateShownNanos != 0 && now - rateShownNanos < RATE_INTERVAL_NANOS) {
            return;
        }
        rateShownNanos = now;
        double perSecond = done / (double) unitSize / ((now - begunNanos) / 1e9);
        bar.setExtraMessage(String.format(Locale.ROOT, perSecond < 10 ? "%.1f%s/s" : "%.0f%s/s", perSecond, unit));
    }

    /** By the pace of all that is done: the library's own reckons with the time since the bar came up, in whole nanoseconds. */
    static Optional<Duration> timeLeft(ProgressState state) {
        if (state.isIndefinite() || state.getMax() <= 0 || state.getCurrent() <= 0) {
            return Optional.empty();
        }
        double nanos = (double) state.getTotalElapsed().toNanos();
        long left = Math.max(0, state.getMax() - state.getCurrent());
        return Optional.of(Duration.ofNanos((long) (nanos * left / state.getCurrent())));
    }

    /** Standard error alone: System.console would want a terminal on the other two as well. */
    private static boolean onTerminal() {
        return FileDescriptors.isTerminal(STANDARD_ERROR);
    }

    /** Takes the bar away. */
    @Override
    public synchronized void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
