// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.dmera.tools.cli.Console;

/**
 * A progress bar on standard error, for work that takes longer than a second on a terminal: never when it is piped, nor
 * under {@code --quiet}. Until a second has passed it costs a glance at the clock, and the library isn't loaded.
 */
public final class Progress implements Closeable {
    /** A second, unless a test is in a hurry. */
    private static final long DELAY_NANOS = Long.getLong("era.progress.millis", 1000) * 1_000_000;

    private final String what;
    private final String unit;
    private final long unitSize;
    private final long total;
    private final long begunNanos = System.nanoTime();
    private boolean silent;
    private long done;
    private ProgressBar bar;

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
                .showSpeed()
                // As most of a terminal's fonts have it, whatever the locale.
                .setStyle(ProgressBarStyle.ASCII)
                .startsFrom(0, Duration.ofNanos(System.nanoTime() - begunNanos))
                .clearDisplayOnFinish()
                .build();
        bar.stepTo(done);
    }

    /** Standard error's own file tells: System.console would want a terminal on the other two as well. */
    private static boolean onTerminal() {
        try {
            String target = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
            return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
        } catch (IOException e) {
            return false;
        }
    }

    /** Takes the bar away. */
    @Override
    public synchronized void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
