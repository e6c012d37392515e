// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.target.TargetFactory;

/**
 * The mapped devices of one engine: names, uuids and minors, each unique; open counts; removal at once or deferred.
 *
 * <p>Device numbers of the engine have {@link #major()}, from the range that Linux leaves to local use (devices.txt), so
 * that they can't be mistaken for those of the kernel's own mapped devices.
 */
public final class DeviceRegistry {
    /** The first major of the range "local/experimental use" of Linux's devices.txt. */
    public static final int LOCAL_MAJOR = 120;

    private static final long LET_GO_NANOS = TimeUnit.SECONDS.toNanos(5);

    private final int major;
    private final TableLoader loader;
    private final BackingSource backings;
    private final Executor background;
    private final DeviceStore store;
    private final EngineLog log;
    private final List<DeviceListener> listeners = new CopyOnWriteArrayList<>();

    /** Guards the maps, and names, uuids and open counts of devices. Nothing blocks under it. */
    private final Object lock = new Object();

    private final TreeMap<String, MappedDevice> byName = new TreeMap<>(DeviceRegistry::compareBytes);
    /** Also holds devices whose removal is under way: their minors are not free yet. */
    private final TreeMap<Integer, MappedDevice> byMinor = new TreeMap<>();

    /**
     * @param types the target types, in the order in which {@code targets} lists them
     * @param backings opens what tables name
     * @param background runs I/O that waits for metadata, and deferred removals
     * @param store remembers the devices
     */
    public DeviceRegistry(
            List<TargetFactory> types, BackingSource backings, Executor background, DeviceStore store, EngineLog log) {
        this.major = LOCAL_MAJOR;
        this.loader = new TableLoader(types, log);
        this.backings = backings;
        this.background = background;
        this.store = store;
        this.log = log;
    }

    /** The order of the kernel's list: names as bytes. */
    private static int compareBytes(String a, String b) {
        return Arrays.compareUnsigned(a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));
    }

    /** The major number of every device. */
    public int major() {
        return major;
    }

    /** The target types, in the order in which {@code targets} lists them. */
    public List<TargetFactory> types() {
        return loader.types();
    }

    TableLoader loader() {
        return loader;
    }

    BackingSource backings() {
        return backings;
    }

    /** The engine's log. */
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
            } catch (RuntimeException e) {
                log.error("a listener for devices failed", e);
            }
        }
    }

    /** The devices, in the order of their names. */
    public List<MappedDevice> devices() {
        synchronized (lock) {
            return new ArrayList<>(byName.values());
        }
    }

    /** Whether a device is being removed: its name is free, its minor and what it sits on are not yet. */
    public boolean isRemoving() {
        synchronized (lock) {
            return byMinor.size() > byName.size();
        }
    }

    /** The device of that name, or null. */
    public MappedDevice byName(String name) {
        synchronized (lock) {
            return byName.get(name);
        }
    }

    /** The device of that uuid, or null. An empty uuid is nobody's. */
    public MappedDevice byUuid(String uuid) {
        synchronized (lock) {
            return uuid.isEmpty() ? null : find(byName.values(), uuid);
        }
    }

    private static MappedDevice find(Collection<MappedDevice> devices, String uuid) {
        for (MappedDevice device : devices) {
            if (device.uuid.equals(uuid)) {
                return device;
            }
        }
        return null;
    }

    /** The device with an encoded device number ({@link DevNumber}), or null. */
    public MappedDevice byDev(long dev) {
        if (DevNumber.major(dev) != major) {
            return null;
        }
        synchronized (lock) {
            MappedDevice device = byMinor.get(DevNumber.minor(dev));
            return device == null || device.removed ? null : device;
        }
    }

    /**
     * Makes a device without tables.
     *
     * @param uuid empty for none
     * @param minor the minor to take; empty for the lowest free one
     * @throws ErrnoException EINVAL for a bad name, EBUSY when name, uuid or minor is taken
     */
    public MappedDevice create(String name, String uuid, OptionalInt minor) throws IOException {
        checkName(name);
        MappedDevice device;
        synchronized (lock) {
            if (byName.containsKey(name)) {
                throw busy("a device named " + name + " exists");
            }
            if (!uuid.isEmpty() && find(byName.values(), uuid) != null) {
                throw busy("a device with uuid " + uuid + " exists");
            }
            device = new MappedDevice(this, freeMinor(minor), name, uuid, new DeviceIo(background));
            byMinor.put(device.minor(), device);
            byName.put(name, device);
        }
        try {
            device.underLife(() -> store.save(device.record()));
        } catch (IOException | RuntimeException e) {
            synchronized (lock) {
                device.removed = true;
                byName.remove(device.name);
                byMinor.remove(device.minor());
            }
            throw e;
        }
        log.info("created " + device);
        return device;
    }

    private int freeMinor(OptionalInt wanted) throws ErrnoException {
        if (wanted.isPresent()) {
            int minor = wanted.getAsInt();
            if (minor < 0 || minor >= DevNumber.MINOR_LIMIT) {
                throw new ErrnoException("minor " + minor, Errno.EINVAL.number());
            }
            if (byMinor.containsKey(minor)) {
                throw busy("minor " + minor + " is taken");
            }
            return minor;
        }
        int free = 0;
        for (int taken : byMinor.keySet()) {
            if (taken != free) {
                break;
            }
            free++;
        }
        return free;
    }

    private static void checkName(String name) throws ErrnoException {
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        if (name.isEmpty() || name.indexOf('/') >= 0 || bytes >= DmIoctl.NAME_BYTES) {
            throw new ErrnoException("device name \"" + name + "\"", Errno.EINVAL.number());
        }
    }

    private static void checkUuid(String uuid) throws ErrnoException {
        int bytes = uuid.getBytes(StandardCharsets.UTF_8).length;
        if (uuid.isEmpty() || bytes >= DmIoctl.UUID_BYTES) {
            throw new ErrnoException("uuid \"" + uuid + "\"", Errno.EINVAL.number());
        }
    }

    private static ErrnoException busy(String what) {
        return new ErrnoException(what, Errno.EBUSY.number());
    }

    /** Gives a device a new name. An event wakes who waits. EBUSY when the name is taken, EINVAL when it is bad. */
    public void rename(MappedDevice device, String newName) throws IOException {
        checkName(newName);
        device.underLife(() -> {
            String oldName;
            synchronized (lock) {
                if (byName.containsKey(newName)) {
                    throw busy("a device named " + newName + " exists");
                }
                oldName = device.name;
                byName.remove(oldName);
                device.name = newName;
                byName.put(newName, device);
            }
            tell(listener -> listener.renamed(device, oldName));
            save(device);
            log.info("renamed " + oldName + " to " + device);
        });
        if (device.hasLive()) {
            device.events().raise();
        }
    }

    /** Gives a uuid to a device that has none; EINVAL when it has one, EBUSY when another has this one. */
    public void setUuid(MappedDevice device, String uuid) throws IOException {
        checkUuid(uuid);
        device.underLife(() -> {
            synchronized (lock) {
                if (find(byName.values(), uuid) != null) {
                    throw busy("a device with uuid " + uuid + " exists");
                }
                if (!device.uuid.isEmpty()) {
                    throw new ErrnoException(device + " has a uuid already", Errno.EINVAL.number());
                }
                device.uuid = uuid;
            }
            save(device);
        });
        if (device.hasLive()) {
            device.events().raise();
        }
    }

    int openCount(MappedDevice device) {
        synchronized (lock) {
            return device.openCount;
        }
    }

    void open(MappedDevice device) throws ErrnoException {
        synchronized (lock) {
            if (device.removed) {
                throw new ErrnoException("open " + device, Errno.ENXIO.number());
            }
            device.openCount++;
        }
    }

    void close(MappedDevice device) {
        synchronized (lock) {
            device.openCount--;
            lock.notifyAll();
            if (device.openCount > 0 || !device.deferredRemove || device.removed) {
                return;
            }
        }
        // Not here: the caller may be a target of another device, in the middle of its own removal.
        background.execute(() -> {
            try {
                remove(device, true);
            } catch (IOException e) {
                log.error("deferred removal of " + device, e);
            }
        });
    }

    /** Takes a deferred removal back. EBUSY when the removal is under way. */
    public void cancelDeferredRemove(MappedDevice device) throws ErrnoException {
        synchronized (lock) {
            if (device.removed) {
                throw busy(device + " is being removed");
            }
            device.deferredRemove = false;
        }
    }

    /**
     * Removes a device: I/O drained, targets suspended and closed, minor free.
     *
     * @param deferred when it is open: leave that to the last close
     * @return false when the removal was deferred
     * @throws ErrnoException EBUSY when it is open, ENXIO when it is gone already
     */
    public boolean remove(MappedDevice device, boolean deferred) throws IOException {
        boolean letGo = false;
        for (DeviceListener listener : listeners) {
            letGo |= listener.removing(device);
        }
        synchronized (lock) {
            if (letGo) {
                awaitClosed(device);
            }
            if (device.removed) {
                throw new ErrnoException("device " + device.name, Errno.ENXIO.number());
            }
            if (device.openCount > 0) {
                if (deferred) {
                    device.deferredRemove = true;
                    return false;
                }
                throw busy(device + " is open " + device.openCount + " times");
            }
            device.removed = true;
            byName.remove(device.name);
        }
        try {
            device.destroy();
        } finally {
            try {
                store.delete(device.minor());
            } finally {
                synchronized (lock) {
                    byMinor.remove(device.minor());
                }
            }
            log.info("removed " + device);
        }
        return true;
    }

    /** Gives who has just been told to let go of the device a moment to do so. */
    private void awaitClosed(MappedDevice device) {
        long deadline = System.nanoTime() + LET_GO_NANOS;
        long left = LET_GO_NANOS;
        while (device.openCount > 0 && left > 0) {
            try {
                TimeUnit.NANOSECONDS.timedWait(lock, left);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
            left = deadline - System.nanoTime();
        }
    }

    /**
     * Removes every device that is not open, and again when that closed others.
     *
     * @param deferred mark the open ones for removal at their last close
     */
    public void removeAll(boolean deferred) {
        boolean again = true;
        while (again) {
            again = false;
            for (MappedDevice device : devices()) {
                try {
                    again |= remove(device, deferred);
                } catch (IOException e) {
                    log.debug("remove_all: " + e.getMessage());
                }
            }
        }
    }

    /** Remembers the device as it is now; a failure is logged, and the next change tries again. */
    void save(MappedDevice device) {
        try {
            store.save(device.record());
        } catch (IOException e) {
            log.error("the state of " + device + " is not saved: after a restart it is as before", e);
        }
    }

    /** Suspends every device, those on top of others first. */
    public void suspendAll() {
        for (MappedDevice device : DeviceStack.topDown(this)) {
            try {
                device.suspendForShutdown();
                log.info("suspended " + device);
            } catch (IOException e) {
                log.error("suspend of " + device, e);
            }
        }
    }

    /** Closes the tables of every device, those on top of others first; the devices stay remembered. The end of an engine. */
    public void closeAll() {
        for (MappedDevice device : DeviceStack.topDown(this)) {
            try {
                device.closeForShutdown();
            } catch (IOException e) {
                log.error("closing " + device, e);
            }
        }
    }

    /**
     * Brings remembered devices back. One whose table can't be loaded comes back without it, and the log says why.
     * Devices on top of others wait until those are there.
     */
    public void restore(Collection<DeviceRecord> records) {
        List<DeviceRecord> sorted = new ArrayList<>(records);
        sorted.sort(Comparator.comparingInt(DeviceRecord::minor));
        List<DeviceRecord> todo = new ArrayList<>();
        synchronized (lock) {
            for (DeviceRecord record : sorted) {
                MappedDevice device =
                        new MappedDevice(this, record.minor(), record.name(), record.uuid(), new DeviceIo(background));
                byMinor.put(record.minor(), device);
                byName.put(record.name(), device);
                todo.add(record);
            }
        }
        while (!todo.isEmpty()) {
            Map<DeviceRecord, IOException> failed = new LinkedHashMap<>();
            for (DeviceRecord record : todo) {
                MappedDevice device = byName(record.name());
                try {
                    device.restore(record);
                    log.info("brought back " + device);
                } catch (IOException e) {
                    failed.put(record, e);
                }
            }
            if (failed.size() == todo.size()) {
                failed.forEach((record, reason) -> log.error(record.name() + " came back without its table", reason));
                return;
            }
            todo = new ArrayList<>(failed.keySet());
        }
    }
}
