// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Threads;

/**
 * Who goes, and when: devices are removed at once, or when they are closed for the last time.
 *
 * <p>Each deferred removal that is due runs on a thread of its own, because whoever closed may be a target of another device in
 * the middle of its own removal, and because one may wait for what is beneath it. When there is no thread to be had, it stays
 * due until the next one, or until devices come and go. One that fails is tried again by itself: nobody is there who could be
 * told that it did, and who could ask for it once more.
 */
final class Removals {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(5);
    private static final long LOOK_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(250);
    /** The longest pause between two tries of one that fails, each of which is a line in the log. */
    private static final long MAX_PAUSE_NANOS = TimeUnit.SECONDS.toNanos(30);

    private final DeviceRegistry registry;
    private final DeviceIndex index;
    private final Executor threads;
    private final EngineLog log;
    private final ArrayDeque<MappedDevice> due = new ArrayDeque<>();
    private final Set<MappedDevice> watched = new HashSet<>();
    private int running;
    private volatile boolean ended;

    Removals(DeviceRegistry registry, DeviceIndex index, Executor threads) {
        this.registry = registry;
        this.index = index;
        this.threads = threads;
        this.log = registry.log();
    }

    /** As {@link DeviceRegistry#remove(MappedDevice, String, boolean)}. */
    boolean remove(MappedDevice device, String known, boolean deferred) throws IOException {
        Removal removal = new Removal(registry, device, false);
        if (tryNow(device, known, removal, deferred)) {
            return true;
        }
        device.state().apply(known, now -> now.removalDeferred(true));
        awaitLastClose(device, removal);
        return false;
    }

    private void removeIfDue(MappedDevice device) throws IOException {
        if (index.isDueForRemoval(device) && !isWaitedFor(device)) {
            Removal removal = new Removal(registry, device, true);
            if (!tryNow(device, "", removal, true) && device.isDeferredRemove()) {
                awaitLastClose(device, removal);
            }
        }
    }

    /**
     * Whether a table that could not be brought back after a restart lay on it: that one has it open no longer, and would never
     * come back without it. Each try to bring it back may open the device, fail, and close it.
     */
    private boolean isWaitedFor(MappedDevice device) {
        return index.devices().stream().anyMatch(other -> other.state().now().waitsFor(device.id()));
    }

    /** Does {@code removal}; whether it is done, where it {@code mayWait} for those who have the device open. */
    private boolean tryNow(MappedDevice device, String known, Removal removal, boolean mayWait) throws IOException {
        DeviceState was = device.state().now();
        try {
            device.state().apply(known, removal);
        } catch (ErrnoException e) {
            if (!mayWait || !e.is(Errno.EBUSY) || device.isGone()) {
                throw e;
            }
            return false;
        }
        index.devices().stream().filter(other -> was.waitsFor(other.id())).forEach(this::add);
        start();
        return true;
    }

    /** {@code removal} was refused, and is deferred. */
    private void awaitLastClose(MappedDevice device, Removal removal) {
        if (!removal.isOpen()) {
            watch(device);
        } else if (index.isDueForRemoval(device)) {
            // The last close came before anybody could know.
            add(device);
        }
    }

    /** {@code device} is to be removed now. */
    void add(MappedDevice device) {
        synchronized (this) {
            due.add(device);
        }
        start();
    }

    /** {@code device} is to be removed when those who don't tell that they have closed it have done so. */
    private void watch(MappedDevice device) {
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
            } while (!ended && device.isDeferredRemove() && !device.isGone() && registry.opensByListeners(device) > 0);
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
                synchronized (this) {
                    due.add(device);
                    over();
                }
                return;
            }
        }
    }

    private void run(MappedDevice device) {
        try {
            for (long pause = LOOK_AGAIN_NANOS; !succeeds(device); pause = Math.min(2 * pause, MAX_PAUSE_NANOS)) {
                if (isEndWithin(pause)) {
                    return;
                }
            }
        } finally {
            over();
        }
    }

    private boolean succeeds(MappedDevice device) {
        try {
            removeIfDue(device);
            return true;
        } catch (IOException | RuntimeException | Error e) {
            log.error("deferred removal of " + device + ", which is tried again", e);
            return false;
        }
    }

    private synchronized boolean isEndWithin(long nanos) {
        return Threads.awaitWhile(this, nanos, () -> !ended);
    }

    private synchronized void over() {
        running--;
        notifyAll();
    }

    /** Begins no more, and waits a while for those that are under way. */
    synchronized void end() {
        ended = true;
        notifyAll();
        Threads.awaitWhile(this, PATIENCE_NANOS, () -> running > 0);
    }
}
