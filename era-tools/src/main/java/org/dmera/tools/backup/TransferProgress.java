// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.Closeable;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.dmera.core.linux.FileDescriptors;

/**
 * A bar with rate and ETA on standard error, for work that takes longer than a second, when that is a terminal. The bar
 * and its library are made only when that second has passed.
 */
public final class TransferProgress implements LongConsumer, Closeable {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final long MIB = 1 << 20;

    private final String task;
    private final long totalBytes;
    private final boolean wanted;
    private final long beganNanos = System.nanoTime();
    private long doneBytes;
    private ProgressBar bar;

    /** {@code totalBytes} −1: not known. */
    public TransferProgress(String task, long totalBytes, boolean quiet) throws IOException {
        this.task = task;
        this.totalBytes = totalBytes;
        this.wanted = !quiet && FileDescriptors.isTerminal(2);
    }

    @Override
    public void accept(long bytes) {
        doneBytes += bytes;
        if (!wanted) {
            return;
        }
        if (bar == null && System.nanoTime() - beganNanos >= PATIENCE_NANOS) {
            bar = new ProgressBarBuilder()
                    .setTaskName(task)
                    .setInitialMax(totalBytes)
                    .setUnit("MiB", MIB)
                    .showSpeed()
                    .setStyle(ProgressBarStyle.ASCII)
                    // Not from 0: the rate is reckoned from what is done while the bar is there.
                    .startsFrom(doneBytes, Duration.ofNanos(System.nanoTime() - beganNanos))
                    .build();
        }
        if (bar != null) {
            bar.stepTo(doneBytes);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
