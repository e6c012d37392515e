// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.BooleanSupplier;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.Dependencies;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.MalformedPayloadException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.TargetVersion;
import org.dmera.dmsetup.ioctl.TextPayload;
import org.dmera.dmsetup.ioctl.Words;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.TargetFactory;

/**
 * The engine's side of the control interface: each call on a buffer becomes one on the registry, and the buffer is left
 * as the kernel (6.1, interface 4.47.0) would have left it. Calls may come from many threads.
 */
public final class EngineControl implements Control {
    /** The version of the interface that is emulated. */
    private static final int VERSION_MAJOR = 4;

    private static final int VERSION_MINOR = 47;

    /** Flags that mean nothing in a call, or nothing after it. */
    private static final int CLEARED =
            DmFlags.BUFFER_FULL | DmFlags.DATA_OUT | DmFlags.UEVENT_GENERATED | DmFlags.SECURE_DATA;
    /** Calls that say nothing of {@code data_size} or of any device: the buffer's size stays in it. */
    private static final Set<DmCommand> WITHOUT_SIZE = EnumSet.of(DmCommand.VERSION, DmCommand.REMOVE_ALL);
    /** Calls that ignore name and uuid. */
    private static final Set<DmCommand> WITHOUT_DEVICE =
            EnumSet.of(DmCommand.VERSION, DmCommand.REMOVE_ALL, DmCommand.LIST_DEVICES, DmCommand.LIST_VERSIONS);

    /** Calls whose answer may have a payload, and whose request has none. */
    private static final Set<DmCommand> WITH_ANSWER = EnumSet.of(
            DmCommand.LIST_DEVICES,
            DmCommand.LIST_VERSIONS,
            DmCommand.GET_TARGET_VERSION,
            DmCommand.TABLE_DEPS,
            DmCommand.TABLE_STATUS,
            DmCommand.DEV_WAIT);

    private final DeviceRegistry registry;
    private final Map<String, EngineVerb> verbs;

    /** With messages of the engine's own besides, by their words, which begin with @. */
    public EngineControl(DeviceRegistry registry, Map<String, EngineVerb> verbs) {
        this.registry = registry;
        this.verbs = Map.copyOf(verbs);
    }

    @Override
    public int call(int command, ByteBuffer buffer) {
        return call(command, buffer, () -> false);
    }

    /** As {@link #call(int, ByteBuffer)}; a wait for an event asks {@code abandoned} every second, and then ends with EINTR. */
    public int call(int command, ByteBuffer buffer, BooleanSupplier abandoned) {
        if (buffer.limit() < DmIoctl.USED_HEADER_BYTES) {
            return -Errno.EINVAL.number();
        }
        DmIoctl io = DmIoctl.over(buffer);
        DmCommand known = DmCommand.ofNumber(command);
        boolean versionFits =
                io.versionMajor() == VERSION_MAJOR && Integer.compareUnsigned(io.versionMinor(), VERSION_MINOR) <= 0;
        io.setVersion(VERSION_MAJOR, VERSION_MINOR, 0);
        if (!versionFits || io.dataSize() != buffer.limit()) {
            return -Errno.EINVAL.number();
        }
        if (known == null) {
            return -Errno.ENOTTY.number();
        }
        byte[] before = {};
        try {
            before = new byte[buffer.limit()];
            buffer.get(0, before);
            answer(known, io, abandoned);
            return 0;
        } catch (IOException | RuntimeException | Error e) {
            int errno = told(known, io, e);
            // A failed call leaves the caller's buffer as it was, but for the version.
            buffer.put(0, before);
            return -errno;
        }
    }

    /** The errno of a failure, which has a line in the log: as an error where it is this program's, or of what it runs on. */
    private int told(DmCommand command, DmIoctl io, Throwable failure) {
        if (failure instanceof MalformedPayloadException e) {
            registry.log().warn("ioctl: " + command + ": " + e.what());
            return Errno.EINVAL.number();
        }
        if (failure instanceof ErrnoException e) {
            registry.log().debug(command + " " + io.name() + ": " + e.getMessage());
            return e.errno();
        }
        registry.log().error(command + " " + io.name(), failure);
        return (failure instanceof OutOfMemoryError ? Errno.ENOMEM : Errno.EIO).number();
    }

    private void answer(DmCommand command, DmIoctl io, BooleanSupplier abandoned) throws IOException {
        io.setFlags(io.flags() & ~CLEARED);
        if (!WITHOUT_DEVICE.contains(command)) {
            checkNaming(command, io);
        }
        if (WITH_ANSWER.contains(command)) {
            io.setDataSize(DmIoctl.USED_HEADER_BYTES);
        }
        switch (command) {
            case VERSION -> {}
            case REMOVE_ALL -> registry.removeAll(io.has(DmFlags.DEFERRED_REMOVE));
            case LIST_DEVICES -> listDevices(io);
            case DEV_CREATE -> create(io);
            case DEV_REMOVE -> remove(io);
            case DEV_RENAME -> rename(io);
            case DEV_SUSPEND -> suspendOrResume(io);
            case DEV_STATUS -> DeviceStatus.status(find(io), io);
            case DEV_WAIT -> await(io, abandoned);
            case TABLE_LOAD -> load(io);
            case TABLE_CLEAR -> clear(io);
            case TABLE_DEPS -> dependencies(io);
            case TABLE_STATUS -> DeviceStatus.tableStatus(find(io), io);
            case LIST_VERSIONS -> TargetVersion.encode(io, versions(registry.types()));
            case TARGET_MSG -> message(io);
            case GET_TARGET_VERSION -> targetVersion(io);
            // The engine's devices have no geometry, and a socket can't be armed for poll(2).
            case DEV_SET_GEOMETRY, DEV_ARM_POLL -> throw new ErrnoException(command.toString(), Errno.EOPNOTSUPP);
        }
        if (!WITHOUT_SIZE.contains(command) && !WITH_ANSWER.contains(command) && !io.has(DmFlags.DATA_OUT)) {
            io.setDataSize(DmIoctl.USED_HEADER_BYTES);
        }
    }

    private static void checkNaming(DmCommand command, DmIoctl io) throws ErrnoException {
        boolean named = !io.name().isEmpty();
        boolean creates = command == DmCommand.DEV_CREATE;
        if (creates && !named) {
            throw new ErrnoException("name not supplied when creating device", Errno.EINVAL);
        }
        if (!creates && named && !io.uuid().isEmpty()) {
            throw new ErrnoException("only supply one of name or uuid", Errno.EINVAL);
        }
    }

    /** The device by name, uuid or number; its name and uuid are put into the buffer. */
    private MappedDevice find(DmIoctl io) throws ErrnoException {
        String name = io.name();
        String uuid = io.uuid();
        MappedDevice device = null;
        if (name.isEmpty() && uuid.isEmpty()) {
            device = io.dev() == 0 ? null : registry.byDev(io.dev());
        } else if (io.dev() == 0) {
            device = name.isEmpty() ? registry.byUuid(uuid) : registry.byName(name);
        }
        if (device == null) {
            throw new ErrnoException("device \"" + name + "\"", Errno.ENXIO);
        }
        return device;
    }

    private void listDevices(DmIoctl io) {
        boolean withUuids = io.has(DmFlags.UUID);
        List<DeviceEntry> entries = new ArrayList<>();
        for (MappedDevice device : registry.devices()) {
            entries.add(new DeviceEntry(
                    device.dev(), device.name(), device.events().number(), withUuids ? device.uuid() : null));
        }
        DeviceEntry.encode(io, entries);
    }

    private void create(DmIoctl io) throws IOException {
        boolean chosen = io.has(DmFlags.PERSISTENT_DEV);
        OptionalInt minor = chosen ? OptionalInt.of(DevNumber.minor(io.dev())) : OptionalInt.empty();
        MappedDevice device = registry.create(io.name(), io.uuid(), minor);
        try {
            DeviceStatus.state(device, io);
        } catch (RuntimeException | Error e) {
            // A call that has failed must leave no half of it behind.
            registry.remove(device, false);
            throw e;
        }
    }

    private void remove(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        boolean removed = registry.remove(device, io.name(), io.has(DmFlags.DEFERRED_REMOVE));
        DeviceStatus.identity(device, io);
        if (removed) {
            io.setFlags(io.flags() & ~DmFlags.DEFERRED_REMOVE);
            uevent(io);
        }
    }

    /**
     * Says that a uevent was made, as the kernel does; unless the caller gave a udev cookie: nothing would ever
     * complete that one, and a caller that learns that there was no event does so itself.
     */
    private static void uevent(DmIoctl io) {
        if ((io.eventNr() & 0xffff) == 0) {
            io.setFlags(io.flags() | DmFlags.UEVENT_GENERATED);
        }
    }

    private void rename(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        String text = TextPayload.decode(io);
        if (io.has(DmFlags.UUID)) {
            registry.setUuid(device, io.name(), text);
        } else {
            registry.rename(device, io.name(), text);
        }
        uevent(io);
        DeviceStatus.state(device, io);
    }

    private void suspendOrResume(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        // As in the kernel: who wants nothing flushed wants no file system frozen either.
        boolean freeze = !io.has(DmFlags.SKIP_LOCKFS) && !io.has(DmFlags.NOFLUSH);
        if (io.has(DmFlags.SUSPEND)) {
            device.suspendFreezing(freeze);
        } else if (device.resumeFreezing(freeze)) {
            uevent(io);
        }
        DeviceStatus.status(device, io);
    }

    private void await(DmIoctl io, BooleanSupplier abandoned) throws IOException {
        MappedDevice device = find(io);
        boolean happened;
        try {
            happened = device.events().await(io.eventNr(), abandoned, () -> DeviceStatus.tableStatus(device, io));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            happened = false;
        }
        if (!happened) {
            throw new ErrnoException("wait for an event of " + device, Errno.EINTR);
        }
    }

    private void load(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        device.load(TargetSpec.decodeRequest(io), io.has(DmFlags.READONLY));
        DeviceStatus.status(device, io);
    }

    private void clear(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        device.clear();
        DeviceStatus.status(device, io);
    }

    private void dependencies(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        boolean ofInactive = io.has(DmFlags.QUERY_INACTIVE_TABLE);
        DeviceStatus.status(device, io);
        List<Long> devs = new ArrayList<>();
        for (Backing backing : device.dependencies(ofInactive)) {
            long dev = backing.device();
            // Plain files have no number. The kernel counts a device once, however many lines name it.
            if (dev >= 0 && !devs.contains(dev)) {
                devs.add(dev);
            }
        }
        // The kernel lists the one that was opened last first.
        Collections.reverse(devs);
        if (ofInactive ? device.hasInactive() : device.hasLive()) {
            Dependencies.encode(io, devs);
        }
    }

    private static List<TargetVersion> versions(List<TargetFactory> types) {
        return types.stream().map(EngineControl::version).toList();
    }

    private static TargetVersion version(TargetFactory type) {
        int[] v = type.version();
        return new TargetVersion(type.type(), v[0], v[1], v[2]);
    }

    private void targetVersion(DmIoctl io) throws ErrnoException {
        List<TargetFactory> found = registry.types().stream()
                .filter(type -> type.type().equals(io.name()))
                .toList();
        if (found.isEmpty()) {
            throw new ErrnoException("target type " + io.name(), Errno.EINVAL);
        }
        TargetVersion.encode(io, versions(found));
    }

    private void message(DmIoctl io) throws IOException {
        MappedDevice device = find(io);
        List<String> words = Words.split(TextPayload.messageText(io));
        if (words.isEmpty()) {
            throw new ErrnoException("Empty message received", Errno.EINVAL);
        }
        String answer = null;
        long sector = TextPayload.messageSector(io);
        if (!words.get(0).startsWith("@") || words.get(0).equals("@attach")) {
            // What the others ask for, or take away, needs no table.
            registry.awaitBack(device);
        }
        EngineVerb verb = verbs.get(words.get(0));
        if (verb != null) {
            answer = verb.run(device, sector, words.subList(1, words.size()));
        } else if (words.get(0).startsWith("@")) {
            messageForDevice(device, words);
        } else {
            answer = device.message(sector, words);
        }
        DeviceStatus.status(device, io);
        if (answer != null) {
            io.setDataSize(DmIoctl.USED_HEADER_BYTES);
            TextPayload.encodeAnswer(io, answer);
        }
    }

    /** Words that begin with @ are for device-mapper itself, which knows one. */
    private void messageForDevice(MappedDevice device, List<String> words) throws IOException {
        if (!words.equals(List.of("@cancel_deferred_remove"))) {
            throw new ErrnoException("Unsupported message sent to DM core: " + String.join(" ", words), Errno.EINVAL);
        }
        registry.cancelDeferredRemove(device);
    }

    @Override
    public String describe() {
        return "this process";
    }
}
