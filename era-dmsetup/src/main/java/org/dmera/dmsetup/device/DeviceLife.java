// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * A mapped device's two table slots and its state, and all that changes them, one change at a time: load, clear, suspend,
 * resume, what a restart brings back, and the end. The lock is held while I/O drains, so who only looks must not take it.
 */
final class DeviceLife {
    private final MappedDevice device;
    private final DeviceRegistry registry;
    private final DeviceIo io;
    private final ReentrantLock life = new ReentrantLock();

    // Changed under life.
    private volatile LoadedTable live;
    private volatile LoadedTable inactive;
    private volatile boolean suspended;
    private volatile boolean attached;
    private boolean appeared;

    DeviceLife(MappedDevice device, DeviceRegistry registry, DeviceIo io) {
        this.device = device;
        this.registry = registry;
        this.io = io;
    }

    boolean isSuspended() {
        return suspended;
    }

    /** The table in the inactive slot, or the live one; null for none. */
    LoadedTable table(boolean ofInactive) {
        return ofInactive ? inactive : live;
    }

    /** Whether the device is to have a node in /dev whenever it can be used, after a restart too. */
    boolean isAttached() {
        return attached;
    }

    /** Remembers whether the device is to have a node. */
    void setAttached(boolean wanted) throws IOException {
        underLife(() -> {
            if (attached != wanted) {
                attached = wanted;
                registry.save(device);
            }
        });
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
            LoadedTable loaded = registry.loader()
                    .load(
                            DevNumber.text(device.dev()),
                            specs,
                            readOnly,
                            registry.backings().openerFor(device, readOnly));
            LoadedTable old = inactive;
            inactive = loaded;
            closeAndSave(old);
        } finally {
            life.unlock();
        }
    }

    /** Closes a table that was replaced, and remembers what replaced it even if that fails. */
    private void closeAndSave(LoadedTable old) throws IOException {
        try {
            if (old != null) {
                old.close();
            }
        } finally {
            registry.save(device);
        }
    }

    /** Drops the inactive table, if there is one. */
    void clear() throws IOException {
        life.lock();
        try {
            checkPresent();
            LoadedTable old = inactive;
            inactive = null;
            if (old != null) {
                closeAndSave(old);
            }
        } finally {
            life.unlock();
        }
    }

    /** Holds new I/O, waits for what is in flight, then suspends the targets. A suspended device stays as it is. */
    void suspend() throws IOException {
        life.lock();
        try {
            checkPresent();
            if (!suspended) {
                drain();
                registry.save(device);
            }
        } finally {
            life.unlock();
        }
    }

    /** Suspends for the end of the engine: what is remembered still says that the device was running. */
    void suspendForShutdown() throws IOException {
        life.lock();
        try {
            if (!device.removed && !suspended) {
                drain();
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
            IOException failed = closing(live, null);
            failed = closing(inactive, failed);
            if (failed != null) {
                throw failed;
            }
        } finally {
            life.unlock();
        }
    }

    private void drain() throws IOException {
        try {
            io.hold();
        } catch (InterruptedException e) {
            io.release();
            Thread.currentThread().interrupt();
            throw new ErrnoException("suspend of " + device.name() + " interrupted", Errno.EINTR.number());
        }
        suspended = true;
        if (live != null) {
            live.suspendTargets();
        }
    }

    /**
     * Puts the inactive table live, if there is one, suspending the device for that if need be; then lets I/O go.
     *
     * @return whether the device was suspended until now: then the kernel makes a uevent
     * @throws ErrnoException EINVAL for a suspended device without any table, or why a target refused; the device
     *     stays suspended, with the new table live
     */
    boolean resume() throws IOException {
        life.lock();
        try {
            checkPresent();
            LoadedTable old = null;
            if (inactive != null) {
                if (!suspended) {
                    drain();
                }
                old = live;
                live = inactive;
                inactive = null;
                io.setTable(live.targets());
                io.setReadOnly(live.readOnly());
            }
            try {
                return suspended && goOn(old != null || !appeared);
            } finally {
                closeAndSave(old);
            }
        } finally {
            life.unlock();
        }
    }

    private boolean goOn(boolean newTable) throws IOException {
        if (live == null) {
            throw new ErrnoException("resume of " + device.name() + ", which has no table", Errno.EINVAL.number());
        }
        live.resumeTargets(why -> registry.log().warn("table: " + DevNumber.text(device.dev()) + ": " + why));
        suspended = false;
        io.release();
        if (!appeared) {
            appeared = true;
            registry.tell(listener -> listener.appeared(device));
        } else if (newTable) {
            registry.tell(listener -> listener.tableChanged(device));
        }
        return true;
    }

    /**
     * Brings back what was remembered: as {@link #load} and {@link #resume} would, but a suspended device stays so. May be
     * called again after a failure.
     *
     * @throws ErrnoException when a table can't be loaded
     */
    void restore(DeviceRecord record) throws IOException {
        life.lock();
        try {
            attached = record.attached();
            if (record.live() != null && live == null) {
                restoreLive(record);
            }
            if (record.suspended() && !suspended) {
                io.hold();
                suspended = true;
            }
            if (record.inactive() != null && inactive == null) {
                inactive = loadRemembered(record.inactive());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ErrnoException("restore of " + device.name() + " interrupted", Errno.EINTR.number());
        } finally {
            life.unlock();
        }
    }

    private void restoreLive(DeviceRecord record) throws IOException, InterruptedException {
        LoadedTable loaded = loadRemembered(record.live());
        io.hold();
        suspended = true;
        live = loaded;
        io.setTable(loaded.targets());
        io.setReadOnly(loaded.readOnly());
        if (!record.suspended()) {
            try {
                goOn(true);
            } catch (IOException e) {
                // As after a failed resume: the table is there, and the device stays suspended.
                registry.log().error(device + " stays suspended", e);
            }
        }
    }

    private LoadedTable loadRemembered(DeviceRecord.Table table) throws ErrnoException {
        return registry.loader()
                .load(
                        DevNumber.text(device.dev()),
                        table.lines(),
                        table.readOnly(),
                        registry.backings().openerFor(device, table.readOnly()));
    }

    /** The end: everything is suspended and closed. The registry no longer knows the device. */
    void destroy() throws IOException {
        device.events().raiseLast();
        life.lock();
        try {
            registry.tell(listener -> listener.disappeared(device));
            device.events().awaitNoWaiters();
            IOException failed = null;
            if (live != null && !suspended) {
                try {
                    drain();
                } catch (IOException e) {
                    failed = e;
                }
            }
            io.shut();
            failed = closing(live, failed);
            failed = closing(inactive, failed);
            live = null;
            inactive = null;
            io.setTable(null);
            if (failed != null) {
                throw failed;
            }
        } finally {
            life.unlock();
        }
    }

    private static IOException closing(LoadedTable table, IOException failed) {
        try {
            if (table != null) {
                table.close();
            }
        } catch (IOException e) {
            if (failed == null) {
                return e;
            }
            failed.addSuppressed(e);
        }
        return failed;
    }

    private void checkPresent() throws ErrnoException {
        if (device.removed) {
            throw new ErrnoException("device " + device.name(), Errno.ENXIO.number());
        }
    }

    /** What is remembered of it. Under {@code life}, or before others know the device. */
    DeviceRecord record() {
        return new DeviceRecord(
                device.minor(),
                device.name(),
                device.uuid(),
                suspended,
                remembered(live),
                remembered(inactive),
                attached);
    }

    private static DeviceRecord.Table remembered(LoadedTable table) {
        return table == null ? null : new DeviceRecord.Table(table.readOnly(), table.specs());
    }

    /** Runs {@code change} while nothing else changes the device. */
    void underLife(LifeChange change) throws IOException {
        life.lock();
        try {
            checkPresent();
            change.run();
        } finally {
            life.unlock();
        }
    }

    /** A change that must not run together with a load, suspend, resume or removal. */
    interface LifeChange {
        void run() throws IOException;
    }
}
