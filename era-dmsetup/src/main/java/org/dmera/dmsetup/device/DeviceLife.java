// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Target;

/**
 * What becomes of a mapped device's tables and of its I/O, one change at a time: load, clear, suspend, resume, what a restart
 * brings back, and the end. Which change it is, is decided here; how it is made, in {@link Transition}.
 *
 * <p>The lock is held while I/O drains, so who only looks must not take it, nor a change that leaves tables and I/O alone.
 */
final class DeviceLife {
    private final MappedDevice device;
    private final DeviceRegistry registry;
    private final RememberedState state;
    private final DeviceQuiescence io;
    private final ReentrantLock life = new ReentrantLock();

    /** Its table is none that could be loaded, and stays. Changed under life. */
    private boolean ofOneTable;

    DeviceLife(MappedDevice device, DeviceRegistry registry, DeviceIo io, RememberedState state) {
        this.device = device;
        this.registry = registry;
        this.state = state;
        this.io = new DeviceQuiescence(device, registry, io);
    }

    /** The table in the inactive slot, or the live one; null for none. */
    LoadedTable table(boolean ofInactive) {
        return state.now().table(ofInactive);
    }

    /** The same, but for a live table that is not resumed yet the one in whose place it comes: that knows what was told. */
    LoadedTable knowingTable(boolean ofInactive) {
        LoadedTable reached = io.reachedTable();
        return ofInactive || reached == null ? table(ofInactive) : reached;
    }

    /** As {@link MappedDevice#load}. */
    void load(List<TargetSpec> specs, boolean readOnly) throws IOException {
        alone(() -> {
            checkPresent();
            if (ofOneTable) {
                throw new ErrnoException("load of a table for " + device + ", which is a view", Errno.EPERM);
            }
            state.apply(load(new DeviceRecord.Table(readOnly, specs, List.of()), DeviceState::loaded));
        });
    }

    /** Makes a change while no other is made. */
    private void alone(Failures.Step change) throws IOException {
        life.lock();
        try {
            change.run();
        } finally {
            life.unlock();
        }
    }

    private Load load(DeviceRecord.Table words, Transition then) {
        return new Load(device, registry, state, words, then);
    }

    private Start start(Transition next, boolean freeze) {
        return new Start(state, io, next, freeze);
    }

    /** Gives a device that was just made its table, which it has until its end. It is closed when this throws. */
    void begin(LoadedTable table) throws IOException {
        life.lock();
        try {
            ofOneTable = true;
            state.note(now -> now.arriving(table));
            state.apply(start(DeviceState::startedWithArriving, false));
        } catch (IOException | RuntimeException | Error e) {
            Failures.after(e, table::close);
            throw e;
        } finally {
            life.unlock();
        }
    }

    /** No change is made until {@link #unlock}, but by this thread. */
    void lock() {
        life.lock();
    }

    void unlock() {
        life.unlock();
    }

    /** Holds its I/O, and lets it go; with the lock. */
    DeviceQuiescence io() {
        return io;
    }

    /**
     * The one target of a running device. With the lock.
     *
     * @throws ErrnoException ENXIO when it is gone or has no table, EBUSY when it is suspended, EINVAL when it has several
     *     targets
     */
    Target onlyTarget() throws ErrnoException {
        checkPresent();
        LoadedTable live = table(false);
        if (live == null) {
            throw new ErrnoException(device + " has no live table", Errno.ENXIO);
        }
        if (state.now().isAtRest()) {
            throw new ErrnoException(device + " is suspended", Errno.EBUSY);
        }
        if (live.count() != 1) {
            throw new ErrnoException(device + " has a table of " + live.count() + " lines", Errno.EINVAL);
        }
        return live.targets().target(0);
    }

    /** As {@link MappedDevice#clear}. */
    void clear() throws IOException {
        alone(() -> {
            checkPresent();
            state.apply(DeviceState::cleared);
        });
    }

    /**
     * As {@link MappedDevice#suspendFreezing}.
     *
     * @throws IOException when it can't be saved, or writes were lost that can't be made durable, and the device goes on; or
     *     when a target fails, and it is suspended
     */
    void suspend(boolean freeze) throws IOException {
        life.lock();
        try {
            checkPresent();
            if (!state.now().isSuspended()) {
                state.apply(new Suspend(io, table(false), freeze));
            }
        } finally {
            unlockSettled();
        }
    }

    /** After a suspend or a resume, whatever came of it. */
    private void unlockSettled() {
        try {
            thaw();
            failHeldAtStop();
        } finally {
            life.unlock();
        }
    }

    /**
     * When the engine stops, nobody resumes a device that is suspended: what sits on it would wait for it for ever. Whoever
     * begins to stop calls this after he has said so, and a suspend when it is done; so one of the two sees the other.
     */
    void failHeldAtStop() {
        if (registry.isStopping() && state.now().isAtRest()) {
            io.shut();
        }
    }

    /** Users go on where the device does, as after the kernel's unlock_fs. */
    void thaw() {
        if (!state.now().isSuspended()) {
            io.thaw();
        }
    }

    /**
     * As {@link MappedDevice#resumeFreezing}. A live table that could not be brought back is tried again; when the new state
     * can't be saved the device is as before.
     */
    boolean resume(boolean freeze) throws IOException {
        life.lock();
        try {
            checkPresent();
            Transition change = resumed(state.now(), freeze);
            if (change != null) {
                state.apply(change);
            }
            return change != null;
        } finally {
            unlockSettled();
        }
    }

    /** What a resume comes to; null for nothing. */
    private Transition resumed(DeviceState was, boolean freeze) {
        if (was.table(true) != null) {
            return start(DeviceState::startedWithInactive, freeze);
        }
        if (was.hasLostInactive()) {
            registry.log().warn(device + " has an inactive table that is not back, and stays inactive");
        }
        if (was.hasLostLive()) {
            return load(was.live().words(), start(DeviceState::startedWithArriving, freeze));
        }
        return was.isSuspended() ? start(DeviceState::started, freeze) : null;
    }

    /**
     * Brings back what is remembered: as {@link #load} and {@link #resume} would, but a suspended device stays so. May be
     * called again after a failure.
     *
     * @throws ErrnoException when a table can't be loaded
     */
    void restore() throws IOException {
        alone(() -> {
            checkPresent();
            DeviceState was = state.now();
            if (was.isAtRest()) {
                io.hold();
            }
            if (was.hasLostLive()) {
                restoreLive(was);
            }
            if (was.hasLostInactive()) {
                // What it is on may be remembered only from now on, if it can be saved.
                state.apply(load(was.inactive().words(), Transition.savedOrNot(DeviceState::loaded)));
            }
        });
    }

    private void restoreLive(DeviceState was) throws IOException {
        try {
            state.apply(load(was.live().words(), was.isAtRest() ? new BroughtBack() : startBroughtBack()));
        } catch (IOException e) {
            if (table(false) == null) {
                throw e;
            }
            // As after a failed resume: the table is there, and the device stays suspended.
            registry.log().error(device + " stays suspended", e);
        }
    }

    private Start startBroughtBack() {
        return start(Transition.savedOrNot(DeviceState::startedWithArriving), false);
    }

    /** A suspended device has its table again; its I/O is held. */
    private final class BroughtBack implements Transition {
        @Override
        public DeviceState next(DeviceState now) {
            return now.broughtBack();
        }

        @Override
        public boolean mustBeSaved() {
            return false;
        }

        @Override
        public void release() {
            io.setTable(table(false));
        }
    }

    /** Suspends for the end of the engine: what is remembered still says that the device was running. */
    void suspendForShutdown() throws IOException {
        alone(() -> {
            if (!device.isGone() && !state.now().isAtRest()) {
                state.noteOfAny(DeviceState::stopped);
                io.hold();
                suspendTargets();
            }
        });
    }

    private void suspendTargets() throws IOException {
        LoadedTable live = table(false);
        if (live != null) {
            io.syncOrLog(live);
            live.suspendTargets();
        }
    }

    /** Closes both tables; the device is not to be used any more, and what is remembered of it stays. */
    void closeForShutdown() throws IOException {
        alone(() -> {
            io.shut();
            Failures failures = new Failures();
            closeTables(failures);
            failures.throwFirst();
        });
    }

    /** The end: everything is suspended and closed. The registry no longer knows the device, nor does the store. */
    void destroy() throws IOException {
        device.events().raiseLast();
        alone(() -> {
            registry.tell(listener -> listener.disappeared(device));
            device.events().awaitNoWaiters();
            Failures failures = new Failures();
            if (table(false) != null && !state.now().isAtRest()) {
                failures.run(() -> {
                    io.hold();
                    suspendTargets();
                });
            }
            io.shut();
            closeTables(failures);
            state.noteOfAny(DeviceState::ended);
            io.setTable(null);
            failures.throwFirst();
        });
    }

    private void closeTables(Failures failures) {
        for (boolean ofInactive : new boolean[] {false, true}) {
            LoadedTable table = table(ofInactive);
            if (table != null) {
                failures.run(table::close);
            }
        }
    }

    private void checkPresent() throws ErrnoException {
        if (device.isGone()) {
            throw new ErrnoException("device " + device.name(), Errno.ENXIO);
        }
        if (state.now().isStopped()) {
            // Its targets are at rest for good: a table that went live now would be closed under its writes.
            throw new ErrnoException("device " + device.name() + ": the engine stops", Errno.ESHUTDOWN);
        }
    }
}
