// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.target.Backing;
import org.dmera.dmsetup.target.Target;

/**
 * A mapped device: a name, a uuid, two table slots, suspend and resume, an event counter, an open count.
 *
 * <p>Three locks, taken in this order: {@code life} serializes what changes tables and state, and is held while I/O
 * drains; the registry's lock guards names and open counts, and is held for a moment only; a table's own lock keeps it open
 * for a reader. Status, tables and messages take the last one alone, so they answer while a suspend waits for I/O.
 */
public final class MappedDevice {
    private final DeviceRegistry registry;
    private final int minor;
    private final DeviceIo io;
    private final ReentrantLock life = new ReentrantLock();
    private final DeviceEvents events = new DeviceEvents();

    // Guarded by the registry's lock.
    volatile String name;
    volatile String uuid;
    int openCount;
    volatile boolean deferredRemove;
    /** Being removed: not found any more, and not to be opened. */
    volatile boolean removed;

    // Changed under life.
    private volatile LoadedTable live;
    private volatile LoadedTable inactive;
    private volatile boolean suspended;
    private volatile boolean appeared;

    MappedDevice(DeviceRegistry registry, int minor, String name, String uuid, DeviceIo io) {
        this.registry = registry;
        this.minor = minor;
        this.name = name;
        this.uuid = uuid;
        this.io = io;
    }

    public String name() {
        return name;
    }

    /** The uuid, empty for none. */
    public String uuid() {
        return uuid;
    }

    public int minor() {
        return minor;
    }

    /** The device number as {@link DevNumber} encodes it. */
    public long dev() {
        return DevNumber.encode(registry.major(), minor);
    }

    /** The device's I/O, for exports and for targets on top of it. */
    public DeviceIo io() {
        return io;
    }

    /** How many have it open: exports with clients, and tables of other devices. */
    public int openCount() {
        return registry.openCount(this);
    }

    /**
     * Opens it: until {@link #close}, a removal is refused or deferred.
     *
     * @throws ErrnoException ENXIO when it is being removed
     */
    public void open() throws ErrnoException {
        registry.open(this);
    }

    /** Takes an {@link #open} back. The last one removes a device whose removal was deferred, in the background. */
    public void close() {
        registry.close(this);
    }

    public boolean isSuspended() {
        return suspended;
    }

    public boolean isDeferredRemove() {
        return deferredRemove;
    }

    public boolean hasLive() {
        return live != null;
    }

    public boolean hasInactive() {
        return inactive != null;
    }

    /** Lines in the live table, or in the inactive one; 0 without. */
    public int targetCount(boolean ofInactive) {
        LoadedTable table = ofInactive ? inactive : live;
        return table == null ? 0 : table.count();
    }

    /** Whether the live table (the inactive one) is read-only. */
    public boolean isReadOnly(boolean ofInactive) {
        if (ofInactive) {
            LoadedTable table = inactive;
            return table != null && table.readOnly();
        }
        return io.isReadOnly();
    }

    /**
     * The table's lines ({@code asTable}) or status lines; null without that table.
     *
     * @throws IOException never for a target's own trouble, which its status shows
     */
    public List<TargetSpec> lines(boolean ofInactive, boolean asTable) throws IOException {
        LoadedTable table = ofInactive ? inactive : live;
        return table == null ? null : table.lines(asTable);
    }

    /** What a table's targets sit on; empty without that table. */
    public List<Backing> dependencies(boolean ofInactive) throws IOException {
        LoadedTable table = ofInactive ? inactive : live;
        return table == null ? List.of() : table.dependencies();
    }

    /**
     * Loads a table into the inactive slot; the one that was there is closed.
     *
     * @throws ErrnoException with the errno of the reason; both slots are as before
     */
    public void load(List<TargetSpec> specs, boolean readOnly) throws IOException {
        life.lock();
        try {
            checkPresent();
            LoadedTable loaded = registry.loader()
                    .load(
                            DevNumber.text(dev()),
                            specs,
                            readOnly,
                            registry.backings().openerFor(this, readOnly));
            LoadedTable old = inactive;
            inactive = loaded;
            if (old != null) {
                old.close();
            }
            registry.save(this);
        } finally {
            life.unlock();
        }
    }

    /** Drops the inactive table, if there is one. */
    public void clear() throws IOException {
        life.lock();
        try {
            checkPresent();
            LoadedTable old = inactive;
            inactive = null;
            if (old != null) {
                old.close();
                registry.save(this);
            }
        } finally {
            life.unlock();
        }
    }

    /** Holds new I/O, waits for what is in flight, then suspends the targets. A suspended device stays as it is. */
    public void suspend() throws IOException {
        life.lock();
        try {
            checkPresent();
            if (!suspended) {
                drain();
                registry.save(this);
            }
        } finally {
            life.unlock();
        }
    }

    /** Suspends for the end of the engine: what is remembered still says that the device was running. */
    void suspendForShutdown() throws IOException {
        life.lock();
        try {
            if (!removed && !suspended) {
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
            throw new ErrnoException("suspend of " + name + " interrupted", Errno.EINTR.number());
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
    public boolean resume() throws IOException {
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
                if (old != null) {
                    old.close();
                }
                registry.save(this);
            }
        } finally {
            life.unlock();
        }
    }

    private boolean goOn(boolean newTable) throws IOException {
        if (live == null) {
            throw new ErrnoException("resume of " + name + ", which has no table", Errno.EINVAL.number());
        }
        live.resumeTargets(why -> registry.log().warn("table: " + DevNumber.text(dev()) + ": " + why));
        suspended = false;
        io.release();
        if (!appeared) {
            appeared = true;
            registry.tell(listener -> listener.appeared(this));
        } else if (newTable) {
            registry.tell(listener -> listener.tableChanged(this));
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
            throw new ErrnoException("restore of " + name + " interrupted", Errno.EINTR.number());
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
                registry.log().error(this + " stays suspended", e);
            }
        }
    }

    private LoadedTable loadRemembered(DeviceRecord.Table table) throws ErrnoException {
        return registry.loader()
                .load(
                        DevNumber.text(dev()),
                        table.lines(),
                        table.readOnly(),
                        registry.backings().openerFor(this, table.readOnly()));
    }

    /** The end: everything is suspended and closed. The registry no longer knows the device. */
    void destroy() throws IOException {
        events.raiseLast();
        life.lock();
        try {
            registry.tell(listener -> listener.disappeared(this));
            events.awaitNoWaiters();
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
        if (removed) {
            throw new ErrnoException("device " + name, Errno.ENXIO.number());
        }
    }

    /** What is remembered of it. Under {@code life}, or before others know the device. */
    DeviceRecord record() {
        return new DeviceRecord(minor, name, uuid, suspended, remembered(live), remembered(inactive));
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

    /**
     * Sends a message to the target at {@code sector}.
     *
     * @return its answer, or null
     * @throws ErrnoException ENXIO without a live table, EINVAL for a sector outside the device, or the target's own
     */
    public String message(long sector, List<String> words) throws IOException {
        return onTarget(sector, target -> target.message(words));
    }

    /** What is done with a live target. */
    public interface TargetUse {
        String with(Target target) throws IOException;
    }

    /** Does {@code use} with the live target at {@code sector}, which stays open meanwhile; failures as a message's. */
    public String onTarget(long sector, TargetUse use) throws IOException {
        LoadedTable table = live;
        if (table == null) {
            throw new ErrnoException("message to " + name + ", which has no live table", Errno.ENXIO.number());
        }
        boolean[] open = new boolean[1];
        String answer = table.use(targets -> {
            open[0] = true;
            return use.with(targetAt(targets, sector));
        });
        if (!open[0]) {
            throw new ErrnoException("message to " + name + ", whose table was replaced", Errno.ENXIO.number());
        }
        return answer;
    }

    private Target targetAt(TargetTable targets, long sector) throws ErrnoException {
        for (TargetTable.Line line : targets.lines()) {
            if (sector >= line.startSector() && sector - line.startSector() < line.lengthSectors()) {
                return line.target();
            }
        }
        registry.log().warn("ioctl: Target message sector outside device.");
        throw new ErrnoException("message to sector " + sector + " of " + name, Errno.EINVAL.number());
    }

    /** Its event counter. */
    public DeviceEvents events() {
        return events;
    }

    @Override
    public String toString() {
        return name + " (" + DevNumber.text(dev()) + ")";
    }
}
