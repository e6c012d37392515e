// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.dmsetup.targets.Target;

/**
 * A mapped device: a name, a uuid, two table slots, suspend and resume, an event counter, an open count.
 *
 * <p>Four locks, taken in this order: that of {@link DeviceLife} serializes what changes tables and state, and
 * is held while I/O drains; that of {@link RememberedState} is held while a change is saved; that of {@link
 * DeviceIndex} guards names and open counts, and is held for a moment only; a table's own lock keeps it open
 * for a reader. Status, tables and messages take the last one alone, so they answer while a suspend waits for I/O.
 */
public final class MappedDevice {
    private final DeviceRegistry registry;
    private final int minor;
    private final DeviceIo io;
    private final RememberedState state;
    private final DeviceLife life;
    private final DeviceEvents events = new DeviceEvents();

    /** Whether it can be found and opened. */
    enum Presence {
        /** Not remembered yet: not to be found. */
        COMING,
        THERE,
        /** Perhaps about to be removed, if those who have it open by other ways let go of it; who opens it waits. */
        LEAVING,
        /** Being removed, or removed: not to be found. */
        GONE
    }

    // Changed under the lock of DeviceIndex.
    int openCount;
    volatile Presence presence = Presence.COMING;

    MappedDevice(DeviceRegistry registry, int minor, DeviceIo io, RememberedState state) {
        this.registry = registry;
        this.minor = minor;
        this.io = io;
        this.state = state;
        this.life = new DeviceLife(this, registry, io, state);
    }

    /** Whether it is being removed, or is removed. */
    boolean isGone() {
        return presence == Presence.GONE;
    }

    /** Its state and how it changes, for the registry. */
    RememberedState state() {
        return state;
    }

    /** What tells it from every other device for ever: numbers and names come again. Without white space. */
    public String id() {
        return state.id();
    }

    public String name() {
        return state.now().name();
    }

    /** The uuid, empty for none. */
    public String uuid() {
        return state.now().uuid();
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

    /** How many have it open: exports with clients, tables of other devices, and who uses its node. */
    public int openCount() {
        return registry.index().openCount(this) + registry.opensByListeners(this);
    }

    /** Opens it: until {@link #close}, a removal is refused or deferred. ENXIO when it is being removed. */
    public void open() throws ErrnoException {
        registry.index().open(this);
    }

    /** Takes an {@link #open} back. The last one removes a device whose removal was deferred, in the background. */
    public void close() {
        registry.close(this);
    }

    /**
     * Opens it for a table of {@code user}, until {@link #closeBeneath}.
     *
     * @throws ErrnoException ENXIO when it is being removed, EINVAL when it lies on {@code user} itself
     */
    public void openBeneath(MappedDevice user) throws ErrnoException {
        registry.index().openBeneath(this, user);
    }

    /** Takes an {@link #openBeneath} back. */
    public void closeBeneath(MappedDevice user) {
        registry.closeBeneath(this, user);
    }

    /** Adds where the range lies in the end, by each of the tables that it has or is about to have. */
    public void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        for (LoadedTable table : state.now().tables()) {
            table.storage(offsetBytes, lengthBytes, areas);
        }
    }

    /** Where all of it lies in the end. */
    public StorageAreas storage() {
        StorageAreas areas = new StorageAreas();
        storage(0, io.sizeBytes(), areas);
        return areas;
    }

    /** As {@link Target#replacedBeneath}, of all of its targets. */
    void replacedBeneath() {
        for (LoadedTable table : state.now().tables()) {
            table.targets().lines().forEach(line -> line.target().replacedBeneath());
        }
    }

    /** As {@link Target#releaseMemory}, of all of its targets. */
    void releaseMemory() throws IOException {
        for (LoadedTable table : state.now().tables()) {
            for (TargetTable.Line line : table.targets().lines()) {
                line.target().releaseMemory();
            }
        }
    }

    public boolean isSuspended() {
        return state.now().isSuspended();
    }

    /** Whether it is to have a node in /dev whenever it can be used, after a restart of the engine too. */
    public boolean isAttached() {
        return state.now().attached();
    }

    /** Remembers whether it is to have a node in /dev. When that fails it is as before. */
    public void setAttached(boolean wanted) throws IOException {
        state.apply(now -> now.attached(wanted));
    }

    public boolean isDeferredRemove() {
        return state.now().deferredRemove();
    }

    public boolean hasLive() {
        return life.table(false) != null;
    }

    public boolean hasInactive() {
        return life.table(true) != null;
    }

    /** Lines in the live table, or in the inactive one; 0 without. */
    public int targetCount(boolean ofInactive) {
        LoadedTable table = life.table(ofInactive);
        return table == null ? 0 : table.count();
    }

    /** Whether the live table (the inactive one) is read-only. */
    public boolean isReadOnly(boolean ofInactive) {
        if (ofInactive) {
            LoadedTable table = life.table(true);
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
        return withTable(ofInactive, targets -> LoadedTable.lines(targets, asTable), null);
    }

    /** What a table's targets sit on, in the order of opening; empty without that table. */
    public List<Backing> dependencies(boolean ofInactive) throws IOException {
        return withTable(ofInactive, LoadedTable::dependencies, List.of());
    }

    /** Does {@code use} with a table, which stays open meanwhile; without one the answer is {@code otherwise}. */
    private <T> T withTable(boolean ofInactive, LoadedTable.Use<T> use, T otherwise) throws IOException {
        LoadedTable table = life.knowingTable(ofInactive);
        while (table != null) {
            T answer = table.use(use);
            if (answer != null) {
                return answer;
            }
            // It was replaced between the look and the use; or this is the end, and it stays closed.
            LoadedTable now = life.knowingTable(ofInactive);
            table = now == table ? null : now;
        }
        return otherwise;
    }

    /**
     * Loads a table into the inactive slot; the one that was there is closed.
     *
     * @throws ErrnoException with the errno of the reason; both slots are as before
     */
    public void load(List<TargetSpec> specs, boolean readOnly) throws IOException {
        life.load(specs, readOnly);
    }

    /** Drops the inactive table, if there is one. */
    public void clear() throws IOException {
        life.clear();
    }

    /** As {@link #suspendFreezing} with file systems frozen. */
    public void suspend() throws IOException {
        suspendFreezing(true);
    }

    /**
     * Holds new I/O, waits for what is in flight, then suspends the targets. A suspended device stays as it is.
     *
     * @param freeze whether file systems on its node are frozen before that, as the kernel's are unless it is told
     *     otherwise
     * @throws ErrnoException EBUSY when one is frozen already, or why one can't be; then the device is not suspended
     */
    public void suspendFreezing(boolean freeze) throws IOException {
        life.suspend(freeze);
    }

    /** As {@link #resumeFreezing} with file systems frozen. */
    public boolean resume() throws IOException {
        return resumeFreezing(true);
    }

    /**
     * Puts the inactive table live, if there is one, suspending the device for that if need be; then lets I/O go.
     *
     * @param freeze as of {@link #suspendFreezing}, where it has to be suspended for that
     * @return whether the device was suspended until now: then the kernel makes a uevent
     * @throws ErrnoException EINVAL for a suspended device without any table, or why a target refused; the device
     *     stays suspended, with the new table live
     */
    public boolean resumeFreezing(boolean freeze) throws IOException {
        return life.resume(freeze);
    }

    /** Makes what was written durable on what lies beneath the live table, also while it is suspended. */
    public void sync() throws IOException {
        withTable(
                false,
                targets -> {
                    LoadedTable.sync(targets);
                    return true;
                },
                true);
    }

    /** Its tables and state, for the registry. */
    DeviceLife life() {
        return life;
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
        String[] answer = withTable(false, targets -> new String[] {use.with(targetAt(targets, sector))}, null);
        if (answer == null) {
            throw new ErrnoException("message to " + name() + ", which has no live table", Errno.ENXIO);
        }
        return answer[0];
    }

    private Target targetAt(TargetTable targets, long sector) throws ErrnoException {
        if (sector >= 0 && sector < targets.sizeBytes() / TargetTable.SECTOR_BYTES) {
            return targets.target(targets.indexAt(sector * TargetTable.SECTOR_BYTES));
        }
        registry.log().warn("ioctl: Target message sector outside device.");
        throw new ErrnoException("message to sector " + sector + " of " + name(), Errno.EINVAL);
    }

    public DeviceEvents events() {
        return events;
    }

    @Override
    public String toString() {
        return name() + " (" + DevNumber.text(dev()) + ")";
    }
}
