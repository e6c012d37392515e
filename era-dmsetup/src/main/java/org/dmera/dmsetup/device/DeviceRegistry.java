// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalInt;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.targets.Target;
import org.dmera.dmsetup.targets.TargetFactory;

/**
 * The mapped devices of one engine: names, uuids and minors, each unique; open counts; removal at once or deferred.
 *
 * <p>Device numbers of the engine have {@link #major()}, from the range that Linux leaves to local use (devices.txt), so
 * that they can't be mistaken for those of the kernel's own mapped devices.
 */
public final class DeviceRegistry {
    /** The first major of the range "local/experimental use" of Linux's devices.txt. */
    public static final int LOCAL_MAJOR = 120;

    private static final long BACK_NANOS = TimeUnit.SECONDS.toNanos(30);

    private final TableLoader loader;
    private final BackingSource backings;
    private final Executor background;
    private final DeviceStore store;
    private final EngineLog log;
    private final List<DeviceListener> listeners = new CopyOnWriteArrayList<>();
    private final DeviceIndex index = new DeviceIndex();
    private final Removals removals;
    private final Restoration restoration;
    private volatile boolean stopping;

    /**
     * @param types the target types, in the order in which {@code targets} lists them
     * @param backings opens what tables name
     * @param background runs I/O that waits for metadata, and deferred removals
     * @param store remembers the devices
     */
    public DeviceRegistry(
            List<TargetFactory> types, BackingSource backings, Executor background, DeviceStore store, EngineLog log) {
        this.loader = new TableLoader(types, log);
        this.backings = backings;
        this.background = background;
        this.store = store;
        this.log = log;
        this.removals = new Removals(this, index, background);
        this.restoration = new Restoration(background, log);
    }

    /** The major number of every device. */
    public int major() {
        return LOCAL_MAJOR;
    }

    /** The target types, in the order in which {@code targets} lists them. */
    public List<TargetFactory> types() {
        return loader.types();
    }

    DeviceIndex index() {
        return index;
    }

    TableLoader loader() {
        return loader;
    }

    BackingSource backings() {
        return backings;
    }

    public EngineLog log() {
        return log;
    }

    /** Adds a listener. Devices that are there already are not told of. */
    public void addListener(DeviceListener listener) {
        listeners.add(listener);
    }

    void tell(Consumer<DeviceListener> news) {
        for (DeviceListener listener : listeners) {
            try {
                news.accept(listener);
            } catch (RuntimeException | Error e) {
                // One that finds no memory, for example: the device goes on, and the others are told.
                log.error("a listener for devices failed", e);
            }
        }
    }

    /** The devices, in the order of their names. */
    public List<MappedDevice> devices() {
        return index.devices();
    }

    /** Has every device give up memory that it can fill again. */
    public void releaseMemory() {
        for (MappedDevice device : devices()) {
            try {
                device.releaseMemory();
            } catch (IOException e) {
                // It has got another table, or is gone; the memory went with the old one.
                log.debug("memory of " + device.name() + ": " + e.getMessage());
            }
        }
    }

    /** Whether a device is being removed: its name is free, its minor and what it sits on are not yet. */
    public boolean isRemoving() {
        return index.isRemoving();
    }

    /** The device of that name, or null. */
    public MappedDevice byName(String name) {
        return index.byName(name);
    }

    /**
     * Waits for a device that is not back yet after a restart, and may come by itself: for half a minute, in which a busy
     * machine does it, and what it sits on is perhaps resumed.
     */
    public void awaitBack(MappedDevice device) {
        restoration.await(device, BACK_NANOS);
    }

    /** Whether {@link #awaitBack} would wait. */
    public boolean isExpectedBack(MappedDevice device) {
        return restoration.isExpected(device);
    }

    /** The device of that uuid, or null. An empty uuid is nobody's. */
    public MappedDevice byUuid(String uuid) {
        return index.byUuid(uuid);
    }

    /** The device with an encoded device number ({@link DevNumber}), or null. */
    public MappedDevice byDev(long dev) {
        return DevNumber.major(dev) == LOCAL_MAJOR ? index.byMinor(DevNumber.minor(dev)) : null;
    }

    /** Throws EINVAL for a name or uuid that no device can have; an empty uuid is none. */
    public static void checkIdentity(String name, String uuid) throws ErrnoException {
        DeviceIndex.checkIdentity(name, uuid);
    }

    /**
     * Makes a device without tables.
     *
     * @param uuid empty for none
     * @param minor the minor to take; empty for the lowest free one
     * @throws ErrnoException EINVAL for a bad name or uuid, EBUSY when name, uuid or minor is taken
     */
    public MappedDevice create(String name, String uuid, OptionalInt minor) throws IOException {
        MappedDevice device =
                index.add(name, uuid, minor, free -> make(free, DeviceState.fresh(name, uuid), null, store));
        device.state().apply(new Creation(index, device));
        log.info("created " + device);
        removals.start();
        return device;
    }

    /** Makes the target of a device that is being made. */
    public interface TargetMaker {
        Target make(MappedDevice device) throws IOException;
    }

    /**
     * Makes a device that is read only, has one target for all its life, and is not remembered for a restart.
     *
     * @param uuid empty for none
     * @param lengthBytes its size, whole sectors
     * @throws ErrnoException as of {@link #create}
     */
    public MappedDevice createView(String name, String uuid, long lengthBytes, TargetMaker maker) throws IOException {
        MappedDevice device = index.add(
                name,
                uuid,
                OptionalInt.empty(),
                free -> make(free, DeviceState.fresh(name, uuid), null, DeviceStore.NONE));
        try {
            device.life().begin(LoadedTable.ofOne(maker.make(device), lengthBytes));
        } catch (IOException | RuntimeException | Error e) {
            index.forget(device);
            throw e;
        }
        index.publish(device);
        log.info("created " + device);
        return device;
    }

    /**
     * Holds several devices at once, so that there is a moment at which nothing is on its way to any of them: what was answered
     * by then is before it, and what is begun only after an answer is never before it when what was answered is not.
     *
     * @param freeze whether file systems on their nodes are frozen meanwhile
     * @throws ErrnoException as of {@link DeviceLife#onlyTarget}, or of a suspend, or what {@code moment} throws
     */
    public void atOneMoment(List<MappedDevice> devices, boolean freeze, OneMoment moment) throws IOException {
        new HeldTogether(this, devices).run(freeze, moment);
    }

    /** {@code remembered}: what the store has of it, or null. */
    private MappedDevice make(int minor, DeviceState first, DeviceRecord remembered, DeviceStore rememberedBy) {
        String id = remembered == null ? UUID.randomUUID().toString() : remembered.id();
        return new MappedDevice(
                this,
                minor,
                new DeviceIo(background),
                new RememberedState(minor, id, first, remembered, rememberedBy, log));
    }

    /**
     * Gives a device a new name. An event wakes who waits.
     *
     * @param known the name by which it was found; empty for another way
     * @throws ErrnoException EBUSY when the new name is taken, EINVAL when it is bad, ENXIO when it is not called {@code known}
     */
    public void rename(MappedDevice device, String known, String newName) throws IOException {
        DeviceIndex.checkName(newName);
        device.state().apply(known, new Naming(this, device, new DeviceIndex.Wish(newName, "")));
    }

    /** Gives a uuid to a device that has none; EINVAL when it has one, EBUSY when another has this one. */
    public void setUuid(MappedDevice device, String known, String uuid) throws IOException {
        DeviceIndex.checkUuid(uuid);
        device.state().apply(known, new Naming(this, device, new DeviceIndex.Wish("", uuid)));
    }

    /** How many have it open who do not tell when they close it. */
    int opensByListeners(MappedDevice device) {
        return listeners.stream().mapToInt(listener -> listener.opens(device)).sum();
    }

    /** Throws when one of the listeners has a reason against it. */
    void tellSuspending(MappedDevice device) throws IOException {
        for (DeviceListener listener : listeners) {
            listener.suspending(device);
        }
    }

    void close(MappedDevice device) {
        if (index.close(device)) {
            removals.add(device);
        }
    }

    void closeBeneath(MappedDevice lower, MappedDevice upper) {
        if (index.closeBeneath(lower, upper)) {
            removals.add(lower);
        }
    }

    /** Takes a deferred removal back. EBUSY when the removal is under way. */
    public void cancelDeferredRemove(MappedDevice device) throws IOException {
        index.requireNotRemoving(device);
        device.state().apply(now -> now.removalDeferred(false));
    }

    /** The same, by whatever name it goes. */
    public boolean remove(MappedDevice device, boolean deferred) throws IOException {
        return remove(device, "", deferred);
    }

    /**
     * Removes a device: I/O drained, targets suspended and closed, minor free.
     *
     * @param known as of {@link #rename}
     * @param deferred when it is open: leave that to the last close
     * @return false when the removal was deferred
     * @throws ErrnoException EBUSY when it is open, ENXIO when it is gone already, or not called {@code known}
     */
    public boolean remove(MappedDevice device, String known, boolean deferred) throws IOException {
        return removals.remove(device, known, deferred);
    }

    /** Those who are told of devices. */
    List<DeviceListener> listeners() {
        return listeners;
    }

    /**
     * Removes every device that is not open, and again when that closed others.
     *
     * @param deferred mark the open ones for removal at their last close
     * @throws IOException why the first of those that are left is, but for being open
     */
    public void removeAll(boolean deferred) throws IOException {
        boolean again;
        IOException first;
        do {
            again = false;
            first = null;
            for (MappedDevice device : devices()) {
                try {
                    again |= remove(device, deferred);
                } catch (IOException e) {
                    boolean open = e instanceof ErrnoException error && error.is(Errno.EBUSY);
                    if (!open && !device.isGone() && first == null) {
                        first = e;
                    }
                    log.debug("remove_all: " + e.getMessage());
                }
            }
        } while (again);
        if (first != null) {
            throw first;
        }
    }

    /**
     * The engine is about to stop: removals that are deferred are not done because of that, no further device is brought
     * back, and what waits for a device that a user has suspended fails, also where a suspend is still under way.
     */
    public void beginStop() {
        stopping = true;
        restoration.end();
        removals.end();
        devices().forEach(device -> device.life().failHeldAtStop());
    }

    /** Whether {@link #beginStop} was called. */
    boolean isStopping() {
        return stopping;
    }

    /** The devices, each after those on top of it. */
    List<MappedDevice> topDown() {
        return index.topDown();
    }

    /** The same, but for those that are still being brought back. */
    private List<MappedDevice> usableTopDown() {
        List<MappedDevice> devices = topDown();
        devices.removeIf(restoration::isUnderWay);
        return devices;
    }

    /** Suspends every device, those on top of others first. */
    public void suspendAll(ShutdownSteps steps) {
        for (MappedDevice device : usableTopDown()) {
            if (steps.run("suspend of " + device, device.life()::suspendForShutdown)) {
                log.info("suspended " + device);
            }
        }
    }

    /** Closes the tables of every device, those on top of others first; the devices stay remembered. The end of an engine. */
    public void closeAll(ShutdownSteps steps) {
        for (MappedDevice device : usableTopDown()) {
            steps.run("closing " + device, device.life()::closeForShutdown);
        }
    }

    /**
     * Brings remembered devices back. One whose table can't be loaded comes back without it, and the log says why.
     * Devices on top of others wait until those are there. One whose files or devices don't answer is brought back when they
     * do, and this does not wait for it.
     *
     * @param reservedMinors minors that no device gets
     */
    public void restore(Collection<DeviceRecord> records, Collection<Integer> reservedMinors) {
        index.reserve(reservedMinors);
        List<MappedDevice> todo = new ArrayList<>();
        for (DeviceRecord record : records.stream()
                .sorted(Comparator.comparingInt(DeviceRecord::minor))
                .toList()) {
            try {
                MappedDevice device = index.add(
                        record.name(),
                        record.uuid(),
                        OptionalInt.of(record.minor()),
                        minor -> make(minor, DeviceState.remembered(record), record, store));
                index.publish(device);
                todo.add(device);
            } catch (IOException e) {
                log.error(record.name() + " does not come back as it was", e);
            }
        }
        restoration.run(todo);
    }
}
