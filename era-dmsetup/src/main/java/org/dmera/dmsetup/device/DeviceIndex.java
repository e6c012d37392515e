// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * Which devices there are: names, uuids and minors, each unique, and how often each device is open. One lock guards all of
 * it, and these fields of devices; nothing but {@link #awaitClosed} waits under it.
 */
final class DeviceIndex {
    private final Object lock = new Object();
    private final TreeMap<String, MappedDevice> byName = new TreeMap<>(DeviceIndex::compareBytes);
    /** Also holds devices whose removal is under way: their minors are not free yet. */
    private final TreeMap<Integer, MappedDevice> byMinor = new TreeMap<>();
    /** Minors of remembered devices that could not be read, and must not be overwritten. */
    private final TreeSet<Integer> reserved = new TreeSet<>();

    /** The order of the kernel's list: names as bytes. */
    private static int compareBytes(String a, String b) {
        return Arrays.compareUnsigned(a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));
    }

    /** The devices, in the order of their names. */
    List<MappedDevice> devices() {
        synchronized (lock) {
            return new ArrayList<>(byName.values());
        }
    }

    /** Whether a device is being removed: its name is free, its minor is not yet. */
    boolean isRemoving() {
        synchronized (lock) {
            return byMinor.size() > byName.size();
        }
    }

    /** The device of that name, or null. */
    MappedDevice byName(String name) {
        synchronized (lock) {
            return byName.get(name);
        }
    }

    /** The device of that uuid, or null. An empty uuid is nobody's. */
    MappedDevice byUuid(String uuid) {
        synchronized (lock) {
            return find(uuid);
        }
    }

    private MappedDevice find(String uuid) {
        if (uuid.isEmpty()) {
            return null;
        }
        for (MappedDevice device : byName.values()) {
            if (device.uuid.equals(uuid)) {
                return device;
            }
        }
        return null;
    }

    /** The device of that minor, or null. */
    MappedDevice byMinor(int minor) {
        synchronized (lock) {
            MappedDevice device = byMinor.get(minor);
            return device == null || device.removed ? null : device;
        }
    }

    /** Minors that no device gets. */
    void reserve(Collection<Integer> minors) {
        synchronized (lock) {
            reserved.addAll(minors);
        }
    }

    /**
     * Adds the device that {@code make} makes for its minor.
     *
     * @param minor the minor to take; empty for the lowest free one
     * @throws ErrnoException EBUSY when name, uuid or minor is taken, EINVAL for a minor that can't be
     */
    MappedDevice add(String name, String uuid, OptionalInt minor, IntFunction<MappedDevice> make)
            throws ErrnoException {
        synchronized (lock) {
            requireFreeName(name);
            requireFreeUuid(uuid);
            MappedDevice device = make.apply(freeMinor(minor));
            byMinor.put(device.minor(), device);
            byName.put(name, device);
            return device;
        }
    }

    private void requireFreeName(String name) throws ErrnoException {
        if (byName.containsKey(name)) {
            throw busy("a device named " + name + " exists");
        }
    }

    private void requireFreeUuid(String uuid) throws ErrnoException {
        if (find(uuid) != null) {
            throw busy("a device with uuid " + uuid + " exists");
        }
    }

    private int freeMinor(OptionalInt wanted) throws ErrnoException {
        if (wanted.isPresent()) {
            int minor = wanted.getAsInt();
            if (minor < 0 || minor >= DevNumber.MINOR_LIMIT) {
                throw new ErrnoException("minor " + minor, Errno.EINVAL.number());
            }
            if (isTaken(minor)) {
                throw busy("minor " + minor + " is taken");
            }
            return minor;
        }
        int free = 0;
        while (isTaken(free)) {
            free++;
        }
        return free;
    }

    private boolean isTaken(int minor) {
        return byMinor.containsKey(minor) || reserved.contains(minor);
    }

    /** EINVAL for a name that no device can have. */
    static void checkName(String name) throws ErrnoException {
        int bytes = name.getBytes(StandardCharsets.UTF_8).length;
        if (name.isEmpty() || name.indexOf('/') >= 0 || bytes >= DmIoctl.NAME_BYTES) {
            throw new ErrnoException("device name \"" + name + "\"", Errno.EINVAL.number());
        }
    }

    /** EINVAL for a uuid that no device can have. */
    static void checkUuid(String uuid) throws ErrnoException {
        int bytes = uuid.getBytes(StandardCharsets.UTF_8).length;
        if (uuid.isEmpty() || bytes >= DmIoctl.UUID_BYTES) {
            throw new ErrnoException("uuid \"" + uuid + "\"", Errno.EINVAL.number());
        }
    }

    private static ErrnoException busy(String what) {
        return new ErrnoException(what, Errno.EBUSY.number());
    }

    /** Gives a device a new name; EBUSY when it is taken. Returns the old one. */
    String rename(MappedDevice device, String newName) throws ErrnoException {
        synchronized (lock) {
            requireFreeName(newName);
            String oldName = device.name;
            byName.remove(oldName);
            device.name = newName;
            byName.put(newName, device);
            return oldName;
        }
    }

    /** Gives a uuid to a device that has none; EINVAL when it has one, EBUSY when another has this one. */
    void setUuid(MappedDevice device, String uuid) throws ErrnoException {
        synchronized (lock) {
            requireFreeUuid(uuid);
            if (!device.uuid.isEmpty()) {
                throw new ErrnoException(device + " has a uuid already", Errno.EINVAL.number());
            }
            device.uuid = uuid;
        }
    }

    int openCount(MappedDevice device) {
        synchronized (lock) {
            return device.openCount;
        }
    }

    /** ENXIO for a device that is being removed. */
    void open(MappedDevice device) throws ErrnoException {
        synchronized (lock) {
            if (device.removed) {
                throw new ErrnoException("open " + device, Errno.ENXIO.number());
            }
            device.openCount++;
        }
    }

    /** Returns whether that was the last one of a device whose removal was deferred to it. */
    boolean close(MappedDevice device) {
        synchronized (lock) {
            device.openCount--;
            lock.notifyAll();
            return device.openCount == 0 && device.deferredRemove && !device.removed;
        }
    }

    /** Whether a removal that was deferred to the last close has to come now: it may have been opened again since. */
    boolean isDueForRemoval(MappedDevice device) {
        synchronized (lock) {
            return device.openCount == 0 && device.deferredRemove && !device.removed;
        }
    }

    /** Takes a deferred removal back. EBUSY when the removal is under way. */
    void cancelDeferredRemove(MappedDevice device) throws ErrnoException {
        synchronized (lock) {
            if (device.removed) {
                throw busy(device + " is being removed");
            }
            device.deferredRemove = false;
        }
    }

    /**
     * Begins a removal: the device is not found any more. {@link #forget} ends it.
     *
     * @param deferred when it is open: leave that to the last close
     * @return false when the removal was deferred
     * @throws ErrnoException EBUSY when it is open, ENXIO when it is being removed already
     */
    boolean beginRemoval(MappedDevice device, boolean deferred) throws ErrnoException {
        synchronized (lock) {
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
            return true;
        }
    }

    /** The minor is free again. */
    void forget(MappedDevice device) {
        synchronized (lock) {
            device.removed = true;
            byName.remove(device.name, device);
            byMinor.remove(device.minor());
        }
    }

    /** Waits until nobody has the device open, or the time is up. */
    void awaitClosed(MappedDevice device, long nanos) {
        long deadline = System.nanoTime() + nanos;
        long left = nanos;
        synchronized (lock) {
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
    }
}
