// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * Brings remembered devices back, one after another; those on top of others when those are there.
 *
 * <p>One whose files or devices don't answer holds up the others for a moment only. It goes on by itself, and comes back
 * when they answer, and then those on top of it.
 */
final class Restoration {
    private static final long EACH_NANOS = TimeUnit.SECONDS.toNanos(2);
    private static final long ALL_NANOS = TimeUnit.SECONDS.toNanos(10);

    private final Executor threads;
    private final EngineLog log;
    /** Devices whose restoration is under way, after others have been begun. */
    private final Set<MappedDevice> late = ConcurrentHashMap.newKeySet();
    /** Those that could not be brought back so far. */
    private List<MappedDevice> without = new ArrayList<>();
    /** Those that are not back, and may come: also those of {@link #without} while others are late, which may be beneath. */
    private final Set<MappedDevice> expected = ConcurrentHashMap.newKeySet();

    private final Object news = new Object();

    private long leftNanos = ALL_NANOS;
    private volatile boolean ended;

    Restoration(Executor threads, EngineLog log) {
        this.threads = threads;
        this.log = log;
    }

    /** Brings back {@code devices}, which the registry knows already. */
    synchronized void run(List<MappedDevice> devices) {
        expected.addAll(devices);
        try {
            bringBack(devices);
        } finally {
            if (late.isEmpty()) {
                // Nothing is to be hoped for.
                expected.clear();
            }
            tellNews();
        }
    }

    private void bringBack(List<MappedDevice> devices) {
        List<MappedDevice> todo = devices;
        while (!todo.isEmpty() && !ended) {
            Map<MappedDevice, IOException> failed = new LinkedHashMap<>();
            for (MappedDevice device : todo) {
                IOException why = bringBack(device);
                if (why != null) {
                    failed.put(device, why);
                }
            }
            if (failed.size() == todo.size()) {
                failed.forEach((device, reason) -> log.error(device.name() + " came back without its table", reason));
                without.addAll(failed.keySet());
                return;
            }
            todo = new ArrayList<>(failed.keySet());
        }
    }

    /** Whether it is still under way: nothing can be done with the device then, not even at the end of the engine. */
    boolean isUnderWay(MappedDevice device) {
        return late.contains(device);
    }

    /** Waits while the device is not back and may come by itself, until the time is up. */
    void await(MappedDevice device, long nanos) {
        synchronized (news) {
            Threads.awaitWhile(news, nanos, () -> isExpected(device));
        }
    }

    /** Whether the device is not back, and may come by itself. */
    boolean isExpected(MappedDevice device) {
        return !ended && !device.isGone() && expected.contains(device);
    }

    private void tellNews() {
        synchronized (news) {
            news.notifyAll();
        }
    }

    /** Begins no more. */
    void end() {
        ended = true;
        tellNews();
    }

    /** Null when the device is back, or will be by itself. */
    private IOException bringBack(MappedDevice device) {
        if (device.isGone()) {
            return null;
        }
        CompletableFuture<IOException> end = new CompletableFuture<>();
        try {
            threads.execute(() -> attempt(device, end));
        } catch (RuntimeException | Error e) {
            log.error("no thread for bringing back " + device + ", so others wait for it", e);
            return restore(device);
        }
        long begin = System.nanoTime();
        boolean inTime;
        synchronized (end) {
            inTime = Threads.awaitWhile(end, Math.min(EACH_NANOS, leftNanos), () -> !end.isDone());
            if (!inTime) {
                late.add(device);
            }
        }
        leftNanos -= System.nanoTime() - begin;
        if (inTime) {
            return end.join();
        }
        log.error(device + " is not back yet: what it sits on does not answer; it comes back when that does");
        return null;
    }

    /** One device's way back, on a thread of its own; who does not wait for its {@code end} any more is told later. */
    private void attempt(MappedDevice device, CompletableFuture<IOException> end) {
        IOException why = restore(device);
        synchronized (end) {
            end.complete(why);
            end.notifyAll();
        }
        if (late.remove(device)) {
            arrived(device, why);
        }
    }

    private IOException restore(MappedDevice device) {
        try {
            device.life().restore();
            log.info("brought back " + device);
            expected.remove(device);
            tellNews();
            return null;
        } catch (IOException | RuntimeException | Error e) {
            return Failures.ofIo(e);
        }
    }

    /** One that took its time; those that failed may be on top of it. */
    private void arrived(MappedDevice device, IOException why) {
        synchronized (this) {
            if (why != null) {
                log.error(device.name() + " came back without its table", why);
                without.add(device);
                run(List.of());
                return;
            }
            List<MappedDevice> again = without;
            without = new ArrayList<>();
            run(again);
        }
    }
}
