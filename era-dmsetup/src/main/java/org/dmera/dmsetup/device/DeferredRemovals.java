// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToIntFunction;
import org.dmera.dmsetup.targets.Threads;

/**
 * Removals that were deferred to a device's last close, and are due. Each runs on a thread of its own, because whoever closed
 * may be a target of another device in the middle of its own removal, and because one may wait for what is beneath it. When
 * there is no thread to be had, or it fails, it stays due, and is tried again with the next one or when devices come and go.
 */
final class DeferredRemovals {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);
    private static final long LOOK_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(250);

    /** What is done with a device that is due. */
    interface Removal {
        void remove(MappedDevice device) throws IOException;
    }

    private final Executor threads;
    private final Removal removal;
    private final ToIntFunction<MappedDevice> otherOpens;
    private final EngineLog log;
    private final ArrayDeque<MappedDevice> due = new ArrayDeque<>();
    private final Set<MappedDevice> watched = new HashSet<>();
    private int running;
    private volatile boolean ended;

    /** {@code otherOpens} tells how many have a device open who do not tell when they close it. */
    DeferredRemovals(Executor threads, Removal removal, ToIntFunction<MappedDevice> otherOpens, EngineLog log) {
        this.threads = threads;
        this.removal = removal;
        this.otherOpens = otherOpens;
        this.log = log;
    }

    /** {@code device} is to be removed now. */
    void add(MappedDevice device) {
        synchronized (this) {
            due.add(device);
        }
        start();
    }

    /** {@code device} is to be removed when those who don't tell that they have closed it have done so. */
    void watch(MappedDevice device) {
        synchronized (this) {
            if (ended || !watched.add(device)) {
                return;
            }
        }
        try {
            threads.execute(() -> await(device));
        } catch (RuntimeException | Error e) {
            log.error("the deferred removal of " + device + " has to wait until it is asked for again", e);
            unwatch(device);
        }
    }

    private void await(MappedDevice device) {
        try {
            do {
                LockSupport.parkNanos(this, LOOK_AGAIN_NANOS);
            } while (!ended && device.isDeferredRemove() && !device.isGone() && otherOpens.applyAsInt(device) > 0);
        } finally {
            // Also after an error: it can be asked for again.
            unwatch(device);
        }
        add(device);
    }

    private synchronized void unwatch(MappedDevice device) {
        watched.remove(device);
    }

    /** Begins those that are due; each once, for one that fails is due again. */
    void start() {
        int left;
        synchronized (this) {
            left = due.size();
        }
        for (; left > 0; left--) {
            MappedDevice device;
            synchronized (this) {
                device = ended ? null : due.poll();
                if (device == null) {
                    return;
                }
                running++;
            }
            try {
                threads.execute(() -> run(device));
            } catch (RuntimeException | Error e) {
                log.error("the deferred removal of " + device + " has to wait", e);
                over(device);
                return;
            }
        }
    }

    private void run(MappedDevice device) {
        MappedDevice again = device;
        try {
            removal.remove(device);
            again = null;
        } catch (IOException | RuntimeException | Error e) {
            log.error("deferred removal of " + device, e);
        } finally {
            over(again);
        }
    }

    private synchronized void over(MappedDevice again) {
        if (again != null) {
            due.add(again);
        }
        running--;
        notifyAll();
    }

    /** Begins no more, and waits a while for those that are under way. */
    synchronized void end() {
        ended = true;
        Threads.awaitWhile(this, PATIENCE_NANOS, () -> running > 0);
    }
}
