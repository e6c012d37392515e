// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceState.Slot;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Target;

/**
 * A mapped device's two table slots and its state, and all that changes them, one change at a time: load, clear, suspend,
 * resume, what a restart brings back, and the end. The lock is held while I/O drains, so who only looks must not take it.
 *
 * <p>Every change has the same order. First what can be taken back: a table is opened, I/O is held and drained. Then it is
 * saved; when that fails, what was done is taken back, and the device is as before. Then it is carried out: targets
 * suspended or resumed, I/O let go. What was replaced is closed last. So no request is answered by a table that a restart
 * would not bring back.
 */
final class DeviceLife {
    private final MappedDevice device;
    private final DeviceRegistry registry;
    private final DeviceIo io;
    private final RememberedState state;
    private final ReentrantLock life = new ReentrantLock();

    /** Saved as running already, and still on the way. */
    private volatile boolean resuming;

    /** A table that is open, and in no slot yet. */
    private volatile LoadedTable loading;

    // Changed under life.
    private boolean appeared;
    /** The engine ends: suspended, though what is remembered says that the device was running. */
    private boolean stopped;
    /** Its table is none that could be loaded, and stays. */
    private boolean ofOneTable;

    DeviceLife(MappedDevice device, DeviceRegistry registry, DeviceIo io, RememberedState state) {
        this.device = device;
        this.registry = registry;
        this.io = io;
        this.state = state;
    }

    boolean isSuspended() {
        return resuming || state.now().suspended();
    }

    /** The table in the inactive slot, or the live one; null for none. */
    LoadedTable table(boolean ofInactive) {
        return state.now().table(ofInactive);
    }

    /**
     * Loads a table into the inactive slot; the one that was there is closed.
     *
     * @throws ErrnoException with the errno of the reason; both slots are as before
     */
    void load(List<TargetSpec> specs, boolean readOnly) throws IOException {
        life.lock();
        try {
            checkPresent();
            if (ofOneTable) {
                throw new ErrnoException("load of a table for " + device + ", which is a view", Errno.EPERM.number());
            }
            LoadedTable loaded = load(new DeviceRecord.Table(readOnly, specs, List.of()));
            LoadedTable old = table(true);
            try {
                state.change(now -> now.withInactive(Slot.of(loaded)));
            } catch (IOException | RuntimeException | Error e) {
                closeAfter(loaded, e);
                throw e;
            }
            closeReplaced(old);
        } finally {
            loading = null;
            life.unlock();
        }
    }

    /** Gives a device that was just made its table, which it has until its end. It is closed when this throws. */
    void begin(LoadedTable table) throws IOException {
        life.lock();
        try {
            ofOneTable = true;
            swap(Slot.of(table), false, false);
        } catch (IOException | RuntimeException | Error e) {
            if (table(false) != table) {
                closeAfter(table, e);
            }
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
            throw new ErrnoException(device + " has no live table", Errno.ENXIO.number());
        }
        if (state.now().suspended() || stopped) {
            throw new ErrnoException(device + " is suspended", Errno.EBUSY.number());
        }
        if (live.count() != 1) {
            throw new ErrnoException(device + " has a table of " + live.count() + " lines", Errno.EINVAL.number());
        }
        return live.targets().target(0);
    }

    /** Opens a table, which counts as one of the device's until {@link #loading} is cleared. */
    private LoadedTable load(DeviceRecord.Table table) throws ErrnoException {
        String number = DevNumber.text(device.dev());
        LoadedTable loaded = registry.loader()
                .load(number, table, registry.backings().openerFor(device, table.readOnly(), table.found()));
        loading = loaded;
        if (device.openCount() > 0) {
            // Others lie on it, and may share with somebody by this table what they must not.
            try {
                registry.loader().checkSharing(number);
            } catch (ErrnoException | RuntimeException | Error e) {
                closeAfter(loaded, e);
                throw e;
            }
        }
        return loaded;
    }

    /** The tables in the slots, and the one that is on the way there. */
    List<LoadedTable> tables() {
        DeviceState now = state.now();
        // In this order: what arrives in a slot meanwhile is seen in one of the two places.
        return Stream.of(loading, now.table(false), now.table(true), table(false), table(true))
                .filter(Objects::nonNull)
                .distinct()
                .toList();
    }

    private static void closeAfter(LoadedTable table, Throwable cause) {
        try {
            table.close();
        } catch (IOException | RuntimeException e) {
            cause.addSuppressed(e);
        }
    }

    /** Closes a table that was replaced. What replaced it is in place whatever becomes of this. */
    private void closeReplaced(LoadedTable old) {
        if (old != null) {
            try {
                old.close();
            } catch (IOException | RuntimeException e) {
                registry.log().error("closing the table of " + device + " that was replaced", e);
            }
        }
    }

    /** Drops the inactive table, if there is one. */
    void clear() throws IOException {
        life.lock();
        try {
            checkPresent();
            LoadedTable old = table(true);
            state.change(now -> now.withInactive(null));
            closeReplaced(old);
        } finally {
            life.unlock();
        }
    }

    /**
     * Holds new I/O, waits for what is in flight, then suspends the targets. A suspended device stays as it is.
     *
     * @throws IOException when it can't be saved, or writes were lost that can't be made durable, and the device goes on; or
     *     when a target fails, and it is suspended
     */
    void suspend(boolean freeze) throws IOException {
        life.lock();
        try {
            checkPresent();
            if (state.now().suspended()) {
                return;
            }
            beforeHold(freeze);
            hold();
            LoadedTable live = table(false);
            try {
                if (live != null) {
                    LoadedTable.sync(live.targets());
                }
                state.change(now -> now.withSuspended(true));
            } catch (IOException | RuntimeException | Error e) {
                io.release();
                throw e;
            }
            if (live != null) {
                live.suspendTargets();
            }
        } finally {
            afterHold();
            life.unlock();
        }
    }

    /** Has users make whole what they have written, as the kernel's lock_fs does, and write no more. */
    void beforeHold(boolean freeze) throws IOException {
        if (freeze) {
            registry.tellSuspending(device);
        }
    }

    /** Users go on where the device does, as after the kernel's unlock_fs. */
    void afterHold() {
        if (!state.now().suspended()) {
            registry.tell(listener -> listener.resumed(device));
        }
    }

    void hold() throws IOException {
        try {
            io.hold();
        } catch (InterruptedException e) {
            io.release();
            Thread.currentThread().interrupt();
            throw new ErrnoException("suspend of " + device.name() + " interrupted", Errno.EINTR.number());
        }
    }

    /** For the end, or another table: what was written is made durable, and if it was lost only the log can say so. */
    private void suspendTargets() throws IOException {
        LoadedTable live = table(false);
        if (live != null) {
            try {
                LoadedTable.sync(live.targets());
            } catch (IOException e) {
                registry.log().error(device + ": what was written could not be made durable", e);
            }
            live.suspendTargets();
        }
    }

    /** Suspends for the end of the engine: what is remembered still says that the device was running. */
    void suspendForShutdown() throws IOException {
        life.lock();
        try {
            if (!device.removed && !stopped && !state.now().suspended()) {
                stopped = true;
                hold();
                suspendTargets();
            }
        } finally {
            life.unlock();
        }
    }

    /** Closes both tables; the device is not to be used any more, and what is remembered of it stays. */
    void closeForShutdown() throws IOException {
        life.lock();
        try {
            io.shut();
            closeTables(null);
        } finally {
            life.unlock();
        }
    }

    /**
     * Puts the inactive table live, if there is one, suspending the device for that if need be; then lets I/O go. A live
     * table that could not be brought back is tried again.
     *
     * @return whether the device was suspended until now: then the kernel makes a uevent
     * @throws ErrnoException EINVAL for a suspended device without any table, or why a target refused; the device
     *     stays suspended, with the new table live. When the new state can't be saved the device is as before
     */
    boolean resume(boolean freeze) throws IOException {
        life.lock();
        try {
            checkPresent();
            DeviceState was = state.now();
            if (was.table(true) != null) {
                swap(was.inactive(), true, freeze);
                return true;
            }
            if (was.hasLostInactive()) {
                registry.log().warn(device + " has an inactive table that is not back, and stays inactive");
            }
            if (was.hasLostLive()) {
                LoadedTable again = load(was.live().words());
                try {
                    swap(Slot.of(again), false, freeze);
                } catch (IOException | RuntimeException | Error e) {
                    if (table(false) != again) {
                        closeAfter(again, e);
                    }
                    throw e;
                }
                return true;
            }
            return was.suspended() && goOn();
        } finally {
            loading = null;
            afterHold();
            life.unlock();
        }
    }

    /** Lets a suspended device go on with the table that it has. */
    private boolean goOn() throws IOException {
        LoadedTable live = table(false);
        if (live == null) {
            throw new ErrnoException("resume of " + device.name() + ", which has no table", Errno.EINVAL.number());
        }
        resuming = true;
        try {
            state.change(now -> now.withSuspended(false));
            run(live, false);
        } finally {
            resuming = false;
        }
        return true;
    }

    /** Puts a table live, the inactive one or one that comes from elsewhere, and lets I/O go. */
    private void swap(Slot fresh, boolean fromInactive, boolean freeze) throws IOException {
        boolean wasRunning = !state.now().suspended();
        LoadedTable old = table(false);
        resuming = true;
        try {
            if (wasRunning) {
                beforeHold(freeze);
                hold();
                suspendForSwap();
            }
            try {
                state.change(now -> (fromInactive ? now.withInactive(null) : now)
                        .withLive(fresh)
                        .withSuspended(false));
            } catch (IOException | RuntimeException | Error e) {
                if (wasRunning) {
                    takeBackSuspend(old, e);
                }
                throw e;
            }
            if (old != null) {
                old.replaced();
            }
            io.setTable(fresh.table().targets());
            io.setReadOnly(fresh.table().readOnly());
            try {
                run(fresh.table(), true);
            } finally {
                closeReplaced(old);
            }
        } finally {
            resuming = false;
        }
    }

    private void suspendForSwap() throws IOException {
        try {
            suspendTargets();
        } catch (IOException | RuntimeException | Error e) {
            // As after a suspend that fails so: the next resume goes on with the new table.
            staySuspended(e);
            throw e;
        }
    }

    /** What a suspend did is undone, since the new state could not be saved. */
    private void takeBackSuspend(LoadedTable old, Throwable cause) {
        try {
            if (old != null) {
                resumeTargets(old);
            }
            io.release();
        } catch (IOException | RuntimeException | Error e) {
            cause.addSuppressed(e);
            staySuspended(cause);
        }
    }

    private void resumeTargets(LoadedTable table) throws IOException {
        table.resumeTargets(why -> registry.log().warn("table: " + DevNumber.text(device.dev()) + ": " + why));
    }

    /** Resumes the targets of a table that is saved as live, and lets I/O go. */
    private void run(LoadedTable live, boolean newTable) throws IOException {
        try {
            resumeTargets(live);
        } catch (IOException | RuntimeException | Error e) {
            staySuspended(e);
            throw e;
        }
        io.release();
        resuming = false;
        if (!appeared) {
            appeared = true;
            registry.tell(listener -> listener.appeared(device));
        } else if (newTable) {
            registry.tell(listener -> listener.tableChanged(device));
        }
    }

    /**
     * The device is suspended because of {@code cause}, which the caller hears of. Should that not be saved, a restart tries
     * again to let it run.
     */
    private void staySuspended(Throwable cause) {
        try {
            try {
                state.change(now -> now.withSuspended(true));
            } catch (IOException | RuntimeException e) {
                cause.addSuppressed(e);
                state.changeUnsaved(now -> now.withSuspended(true));
            }
        } catch (IOException e) {
            // The device is gone.
            cause.addSuppressed(e);
        }
    }

    /**
     * Brings back what is remembered: as {@link #load} and {@link #resume} would, but a suspended device stays so. May be
     * called again after a failure.
     *
     * @throws ErrnoException when a table can't be loaded
     */
    void restore() throws IOException {
        life.lock();
        try {
            checkPresent();
            DeviceState was = state.now();
            if (was.suspended()) {
                hold();
            }
            if (was.hasLostLive()) {
                restoreLive(was);
            }
            if (was.hasLostInactive()) {
                LoadedTable inactive = load(was.inactive().words());
                keep(inactive, now -> now.withInactive(Slot.of(inactive)));
            }
        } finally {
            loading = null;
            life.unlock();
        }
    }

    private void restoreLive(DeviceState was) throws IOException {
        LoadedTable live = load(was.live().words());
        hold();
        io.setTable(live.targets());
        io.setReadOnly(live.readOnly());
        resuming = !was.suspended();
        try {
            keep(live, now -> now.withLive(Slot.of(live)));
            if (!was.suspended()) {
                run(live, true);
            }
        } catch (IOException e) {
            if (table(false) != live) {
                throw e;
            }
            // As after a failed resume: the table is there, and the device stays suspended.
            registry.log().error(device + " stays suspended", e);
        } finally {
            resuming = false;
        }
    }

    /** Keeps a table that was brought back. What it is on may be remembered only from now on, if it can be saved. */
    private void keep(LoadedTable table, RememberedState.Change change) throws IOException {
        try {
            try {
                state.change(change);
            } catch (IOException e) {
                state.changeUnsaved(change);
                registry.log().error("the state of " + device + " is not saved", e);
            }
        } catch (IOException | RuntimeException | Error e) {
            closeAfter(table, e);
            throw e;
        }
    }

    /** The end: everything is suspended and closed. The registry no longer knows the device, nor does the store. */
    void destroy() throws IOException {
        device.events().raiseLast();
        life.lock();
        try {
            registry.tell(listener -> listener.disappeared(device));
            device.events().awaitNoWaiters();
            IOException failed = null;
            if (table(false) != null && !state.now().suspended() && !stopped) {
                try {
                    hold();
                    suspendTargets();
                } catch (IOException e) {
                    failed = e;
                }
            }
            io.shut();
            try {
                closeTables(failed);
            } finally {
                state.endTables();
                io.setTable(null);
            }
        } finally {
            life.unlock();
        }
    }

    /** Closes both tables, each even when the other fails; the first failure, {@code failed} for one, is thrown. */
    private void closeTables(IOException failed) throws IOException {
        IOException first = failed;
        for (boolean ofInactive : new boolean[] {false, true}) {
            try {
                LoadedTable table = table(ofInactive);
                if (table != null) {
                    table.close();
                }
            } catch (IOException e) {
                if (first == null) {
                    first = e;
                } else {
                    first.addSuppressed(e);
                }
            }
        }
        if (first != null) {
            throw first;
        }
    }

    private void checkPresent() throws ErrnoException {
        if (device.removed) {
            throw new ErrnoException("device " + device.name(), Errno.ENXIO.number());
        }
    }
}
