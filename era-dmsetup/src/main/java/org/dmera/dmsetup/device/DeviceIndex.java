// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.MappedDevice.Presence;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.targets.Threads;

/**
 * Which devices there are: names, uuids and minors, each unique, and how often each device is open. One lock guards all of
 * it, and these fields of devices; under it nothing is waited for but the end of a removal that is being decided.
 */
final class DeviceIndex {
    private final TreeMap<String, MappedDevice> byName = new TreeMap<>(DeviceIndex::compareBytes);
    /** Also holds devices whose removal is under way: their minors are not free yet. */
    private final TreeMap<Integer, MappedDevice> byMinor = new TreeMap<>();
    /** Minors of remembered devices that could not be read, and must not be overwritten. */
    private final TreeSet<Integer> reserved = new TreeSet<>();
    /** On which devices the tables of a device are, as often as they name them; those included that are being loaded. */
    private final Map<MappedDevice, List<MappedDevice>> beneath = new HashMap<>();
    /** What devices are about to get. */
    private final Set<Wish> wishes = new HashSet<>();

    /** A name and a uuid that a device is to get; each is empty where it gets none. */
    record Wish(String name, String uuid) {}

    /** The order of the kernel's list: names as bytes. */
    private static int compareBytes(String a, String b) {
        return Arrays.compareUnsigned(NativeText.bytes(a), NativeText.bytes(b));
    }

    /** The devices, in the order of their names. */
    synchronized List<MappedDevice> devices() {
        List<MappedDevice> devices = new ArrayList<>(byName.values());
        devices.removeIf(device -> !isFound(device));
        return devices;
    }

    /** Whether a device is being removed: its name is free, its minor is not yet. */
    synchronized boolean isRemoving() {
        return byMinor.values().stream().anyMatch(MappedDevice::isGone);
    }

    private static boolean isFound(MappedDevice device) {
        return device != null && (device.presence == Presence.THERE || device.presence == Presence.LEAVING);
    }

    private static MappedDevice ifFound(MappedDevice device) {
        return isFound(device) ? device : null;
    }

    /** The device of that name, or null. */
    synchronized MappedDevice byName(String name) {
        return ifFound(byName.get(name));
    }

    /** The device of that uuid, or null. An empty uuid is nobody's. */
    synchronized MappedDevice byUuid(String uuid) {
        return ifFound(find(uuid));
    }

    private MappedDevice find(String uuid) {
        return byName.values().stream()
                .filter(device -> !uuid.isEmpty() && device.uuid().equals(uuid))
                .findAny()
                .orElse(null);
    }

    /** The device of that minor, or null. */
    synchronized MappedDevice byMinor(int minor) {
        return ifFound(byMinor.get(minor));
    }

    /** Minors that no device gets. */
    synchronized void reserve(Collection<Integer> minors) {
        reserved.addAll(minors);
    }

    /**
     * Adds the device that {@code make} makes for its minor, which is not found yet: {@link #publish} must follow, or {@link
     * #forget}.
     *
     * @param minor the minor to take; empty for the lowest free one
     * @throws ErrnoException EBUSY when name, uuid or minor is taken, EINVAL for one that can't be
     */
    synchronized MappedDevice add(String name, String uuid, OptionalInt minor, IntFunction<MappedDevice> make)
            throws ErrnoException {
        checkIdentity(name, uuid);
        requireFree(new Wish(name, uuid));
        MappedDevice device = make.apply(freeMinor(minor));
        byMinor.put(device.minor(), device);
        byName.put(name, device);
        return device;
    }

    /** The device can be found from now on. */
    synchronized void publish(MappedDevice device) {
        device.presence = Presence.THERE;
    }

    private void requireFree(Wish wish) throws ErrnoException {
        if (byName.containsKey(wish.name) || isWished(Wish::name, wish.name)) {
            throw busy("a device named " + wish.name + " exists");
        }
        if (find(wish.uuid) != null || isWished(Wish::uuid, wish.uuid)) {
            throw busy("a device with uuid " + wish.uuid + " exists");
        }
    }

    private boolean isWished(Function<Wish, String> of, String word) {
        return !word.isEmpty() && wishes.stream().map(of).anyMatch(word::equals);
    }

    private int freeMinor(OptionalInt wanted) throws ErrnoException {
        if (wanted.isPresent()) {
            int minor = wanted.getAsInt();
            if (minor < 0 || minor >= DevNumber.MINOR_LIMIT) {
                throw new ErrnoException("minor " + minor, Errno.EINVAL);
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

    /** EINVAL for a name or a uuid that no device can have; an empty uuid is none. */
    static void checkIdentity(String name, String uuid) throws ErrnoException {
        checkName(name);
        if (!uuid.isEmpty()) {
            checkUuid(uuid);
        }
    }

    /** EINVAL for a name that no device can have. */
    static void checkName(String name) throws ErrnoException {
        int bytes = NativeText.bytes(name).length;
        if (name.isEmpty()
                || name.indexOf('/') >= 0
                || bytes >= DmIoctl.NAME_BYTES
                || DmIoctl.NO_DEVICE_NAMES.contains(name)) {
            throw new ErrnoException("device name \"" + name + "\"", Errno.EINVAL);
        }
    }

    /** EINVAL for a uuid that no device can have. */
    static void checkUuid(String uuid) throws ErrnoException {
        int bytes = NativeText.bytes(uuid).length;
        if (uuid.isEmpty() || bytes >= DmIoctl.UUID_BYTES) {
            throw new ErrnoException("uuid \"" + uuid + "\"", Errno.EINVAL);
        }
    }

    private static ErrnoException busy(String what) {
        return new ErrnoException(what, Errno.EBUSY);
    }

    /** Keeps what a device is about to get; EBUSY when another has it. {@link #release} follows. */
    synchronized void reserve(Wish wish) throws ErrnoException {
        requireFree(wish);
        wishes.add(wish);
    }

    /** The reservation ends, whether the device has got it or not. */
    synchronized void release(Wish wish) {
        wishes.remove(wish);
    }

    /** A device has a new name, which was reserved. */
    synchronized void renamed(MappedDevice device) {
        byName.values().removeIf(device::equals);
        byName.put(device.name(), device);
    }

    synchronized int openCount(MappedDevice device) {
        return device.openCount;
    }

    /** ENXIO for a device that is being removed. Waits for the moment in which that is decided. */
    synchronized void open(MappedDevice device) throws ErrnoException {
        awaitDecided(device);
        if (!isFound(device)) {
            throw new ErrnoException("open " + device, Errno.ENXIO);
        }
        device.openCount++;
    }

    /**
     * Opens {@code lower} for a table of {@code upper}; EINVAL when that makes a circle. In one step, so that of two loads
     * that would close a circle together one is refused. {@link #closeBeneath} takes it back. However often its tables name it,
     * they have it open once, as in the kernel.
     */
    synchronized void openBeneath(MappedDevice lower, MappedDevice upper) throws ErrnoException {
        if (sitsOn(lower, upper)) {
            throw new ErrnoException(upper + " on top of itself", Errno.EINVAL);
        }
        if (!beneath.getOrDefault(upper, List.of()).contains(lower)) {
            open(lower);
        }
        beneath.computeIfAbsent(upper, u -> new ArrayList<>()).add(lower);
    }

    private boolean sitsOn(MappedDevice device, MappedDevice wanted) {
        Set<MappedDevice> seen = new HashSet<>();
        ArrayDeque<MappedDevice> todo = new ArrayDeque<>(List.of(device));
        while (!todo.isEmpty()) {
            MappedDevice next = todo.pop();
            if (next.equals(wanted)) {
                return true;
            }
            if (seen.add(next)) {
                todo.addAll(beneath.getOrDefault(next, List.of()));
            }
        }
        return false;
    }

    /** The devices on top of one, directly or by way of others. */
    synchronized List<MappedDevice> above(MappedDevice device) {
        return byMinor.values().stream()
                .filter(other -> !other.equals(device) && sitsOn(other, device))
                .toList();
    }

    /** The devices, each after those on top of it: the order in which they are suspended. */
    synchronized List<MappedDevice> topDown() {
        List<MappedDevice> devices = devices();
        // Whatever they are called: who locks several is not to meet another who does so in another order.
        devices.sort(Comparator.comparingInt(MappedDevice::minor));
        Set<MappedDevice> order = new LinkedHashSet<>();
        devices.forEach(device -> addAfterThoseAbove(device, devices, order));
        return new ArrayList<>(order);
    }

    private void addAfterThoseAbove(MappedDevice device, List<MappedDevice> devices, Set<MappedDevice> order) {
        if (!order.contains(device)) {
            for (MappedDevice other : devices) {
                if (!other.equals(device) && sitsOn(other, device)) {
                    addAfterThoseAbove(other, devices, order);
                }
            }
            order.add(device);
        }
    }

    /** A table of {@code upper} no longer uses {@code lower}; as of {@link #close}. */
    synchronized boolean closeBeneath(MappedDevice lower, MappedDevice upper) {
        List<MappedDevice> lowers = beneath.get(upper);
        lowers.remove(lower);
        if (lowers.isEmpty()) {
            beneath.remove(upper);
        }
        return !lowers.contains(lower) && close(lower);
    }

    /** Returns whether that was the last one of a device whose removal was deferred to it. */
    synchronized boolean close(MappedDevice device) {
        device.openCount--;
        return isDueForRemoval(device);
    }

    /** Whether a removal that was deferred to the last close has to come now: it may have been opened again since. */
    synchronized boolean isDueForRemoval(MappedDevice device) {
        return device.openCount == 0 && device.isDeferredRemove() && !device.isGone();
    }

    /** EBUSY when a removal is under way. */
    void requireNotRemoving(MappedDevice device) throws ErrnoException {
        if (device.isGone()) {
            throw busy(device + " is being removed");
        }
    }

    /**
     * Throws when no removal can begin now; nothing is decided by that.
     *
     * @throws ErrnoException EBUSY when it is open, ENXIO when it is being removed already
     */
    synchronized void requireRemovable(MappedDevice device) throws ErrnoException {
        awaitDecided(device);
        if (device.isGone()) {
            throw new ErrnoException("device " + device.name(), Errno.ENXIO);
        }
        if (device.openCount > 0) {
            throw busy(device + " is open " + device.openCount + " times");
        }
    }

    /** As {@link #requireRemovable}; who opens the device has to wait for {@link #decideRemoval} from now on. */
    synchronized void beginRemoval(MappedDevice device) throws ErrnoException {
        requireRemovable(device);
        device.presence = Presence.LEAVING;
    }

    /**
     * Either the device is not found any more, its name stays taken until {@link #freeName}, and {@link #forget} ends its
     * removal; or it is as before.
     */
    synchronized void decideRemoval(MappedDevice device, boolean goes) {
        device.presence = goes ? Presence.GONE : Presence.THERE;
        notifyAll();
    }

    private void awaitDecided(MappedDevice device) {
        Threads.awaitWhile(this, () -> device.presence == Presence.LEAVING);
    }

    /** The name and the uuid of a device that is being removed are free; its minor is not yet. */
    synchronized void freeName(MappedDevice device) {
        byName.values().removeIf(device::equals);
    }

    /** The minor is free again. */
    synchronized void forget(MappedDevice device) {
        device.presence = Presence.GONE;
        byName.values().removeIf(device::equals);
        byMinor.remove(device.minor());
    }
}
