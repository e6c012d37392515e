// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.cli.Console;
import org.dmera.tools.io.Progress;

/**
 * The way of a cache into passthrough mode, and back to its former table as long as the volume beneath was not touched.
 *
 * @param whole does a part of it that an orderly end of the process must not cut in two
 */
record Passthrough(MappedCache cache, Consumer<String> log, Console console, Failures.Use<Failures.Step> whole) {
    /** Between looks at the number of dirty blocks: longer each time, up to a limit. */
    private static final long FIRST_POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

    private static final long LAST_POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(200);
    /** How long the number of dirty blocks may stay as it is while the cleaner works. */
    private static final long CLEANING_PATIENCE_NANOS = TimeUnit.MINUTES.toNanos(2);
    /** Times that writers may dirty the cache again between the cleaner's end and the suspension. */
    private static final int CLEANINGS = 20;

    /** Cleans until a suspended cache has nothing dirty; only then may passthrough be loaded. */
    void enter(CacheTable live, CacheTable former) throws IOException {
        CacheTable current = live;
        try {
            for (int round = 0; round < CLEANINGS; round++) {
                if (cache.status().dirty() > 0) {
                    current = clean(current, former);
                }
                whole.with(() -> enterIfClean(former));
                if (cache.table().isPassthrough()) {
                    log.accept("in passthrough mode");
                    return;
                }
            }
            throw new IOException("blocks of " + cache.name() + " are dirtied as fast as they are written back: stop"
                    + " those who write to it");
        } catch (IOException e) {
            undo(former, e);
            throw e;
        }
    }

    private void enterIfClean(CacheTable former) throws IOException {
        cache.suspend();
        // Somebody may have written between the last look and the suspension.
        if (cache.statusUncommitted().dirty() == 0) {
            cache.load(former.passthrough());
        }
        cache.resume();
    }

    private CacheTable clean(CacheTable current, CacheTable former) throws IOException {
        CacheTable cleaning = former.cleaning();
        if (!current.isCleaning()) {
            whole.with(() -> cache.swap(cleaning));
        }
        long dirty = cache.status().dirty();
        log.accept("writing back " + dirty + " dirty blocks");
        long lastProgress = System.nanoTime();
        long poll = FIRST_POLL_NANOS;
        try (Progress progress = new Progress(console, "cleaning", " blocks", 1, dirty)) {
            while (dirty > 0) {
                pause(poll);
                poll = Math.min(2 * poll, LAST_POLL_NANOS);
                long now = cache.status().dirty();
                progress.add(Math.max(0, dirty - now));
                if (now < dirty) {
                    lastProgress = System.nanoTime();
                } else if (System.nanoTime() - lastProgress > CLEANING_PATIENCE_NANOS) {
                    throw new IOException(cache.name() + ": " + now + " blocks stay dirty: stop those who write to it");
                }
                dirty = now;
            }
        }
        return cleaning;
    }

    private static void pause(long nanos) throws InterruptedIOException {
        try {
            TimeUnit.NANOSECONDS.sleep(nanos);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted");
        }
    }

    /** Before the volume was touched: the cache as it was, and no record; which stays, with what the table was, when that fails. */
    void undo(CacheTable former, IOException cause) {
        Failures.after(cause, () -> {
            if (cache.hasInactiveTable()) {
                cache.clear();
            }
            if (!cache.table().equals(former)) {
                if (!cache.isSuspended()) {
                    cache.suspend();
                }
                cache.load(former);
            }
            if (cache.isSuspended()) {
                cache.resume();
            }
        });
    }
}
