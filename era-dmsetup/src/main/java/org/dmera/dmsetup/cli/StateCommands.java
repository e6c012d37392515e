// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** Commands on a device's state: suspend, resume, remove, remove_all, rename, message, wait, mknodes. */
final class StateCommands {
    private StateCommands() {}

    static boolean suspend(Session session, List<String> operands) throws IOException {
        DeviceId device = session.deviceOf(operands);
        if (session.has(Switch.CHECKS)) {
            refuseOnSuspended(session, device);
        }
        DmIoctl io =
                change(session, "suspend", device).flag(DmFlags.SUSPEND, true).run(session.control());
        InfoCommand.printIfVerbose(session, io);
        return true;
    }

    /** libdevmapper's one check: to suspend what sits on a suspended device waits for ever. */
    private static void refuseOnSuspended(Session session, DeviceId device) throws IOException {
        List<Long> below = session.client().dependencies(device, false);
        for (DeviceEntry entry : session.client().list()) {
            DmIoctl io = below.contains(entry.dev()) ? session.info(DeviceId.ofName(entry.name())) : null;
            if (io != null && io.has(DmFlags.SUSPEND)) {
                throw new CommandLineException(
                        "Attempt to suspend device " + device.describe().trim()
                                + " that uses already-suspended device (" + DevNumber.text(entry.dev()) + ")");
            }
        }
    }

    static boolean resume(Session session, List<String> operands) throws IOException {
        ReadAhead.check(session);
        DmIoctl io = change(session, "resume", session.deviceOf(operands))
                .udevFlags(session.nodes().flagsForChange())
                .run(session.control());
        session.nodes().added(io.name(), io.dev());
        ReadAhead.apply(session, io);
        InfoCommand.printIfVerbose(session, io);
        return true;
    }

    private static DmCall change(Session session, String task, DeviceId device) {
        return DmCall.of(task, DmCommand.DEV_SUSPEND, device)
                .flag(DmFlags.READONLY, session.has(Switch.READONLY))
                .flag(DmFlags.NOFLUSH, session.has(Switch.NOFLUSH))
                .flag(DmFlags.SKIP_LOCKFS, session.has(Switch.NOLOCKFS))
                .flag(DmFlags.QUERY_INACTIVE_TABLE, session.has(Switch.INACTIVE));
    }

    static boolean remove(Session session, List<String> operands) throws IOException {
        DeviceId device = session.deviceOf(operands);
        boolean force = session.has(Switch.FORCE);
        if (force) {
            makeWay(session, device);
            try {
                TableCommands.wipe(session, device, true, true);
            } catch (DmException e) {
                // Forced: what the wipe could not do the removal may still.
                session.err().println(e.getMessage());
            }
        }
        DmIoctl io = DmCall.of("remove", DmCommand.DEV_REMOVE, device)
                .flag(DmFlags.NOFLUSH | DmFlags.SKIP_LOCKFS, force)
                .flag(DmFlags.DEFERRED_REMOVE, session.has(Switch.DEFERRED))
                .udevFlags(session.nodes().flagsForChange())
                .patiently(session.has(Switch.RETRY))
                .run(session.control());
        if (!io.has(DmFlags.DEFERRED_REMOVE)) {
            session.nodes().removed(io.name());
        }
        return true;
    }

    /**
     * Has an engine write out and take away the device's node in /dev before its table is replaced.
     *
     * @throws DmException EBUSY while the node is in use, by a mount for one: unlike dmsetup, which leaves a mounted file
     *     system on a table of errors, and then does not remove the device either
     */
    private static void makeWay(Session session, DeviceId device) throws IOException {
        if (session.control().isKernel()) {
            return;
        }
        try {
            // That there is no such device the removal says by itself.
            DmCall.of("remove", DmCommand.TARGET_MSG, device)
                    .message(0, "@makeway")
                    .patiently(session.has(Switch.RETRY))
                    .runIfThere(session.control());
        } catch (DmException e) {
            if (e.is(Errno.EBUSY)) {
                throw e;
            }
            // Forced: the removal goes on.
            session.err().println(e.getMessage());
        }
    }

    static boolean removeAll(Session session, List<String> operands) throws IOException {
        if (session.has(Switch.FORCE)) {
            removeAllByForce(session);
        } else {
            removeClosed(session);
        }
        return true;
    }

    private static void removeClosed(Session session) throws IOException {
        List<DeviceEntry> before =
                session.control().isKernel() ? session.client().list() : List.of();
        DmCall.of("remove_all", DmCommand.REMOVE_ALL, DeviceId.NONE)
                .flag(DmFlags.DEFERRED_REMOVE, session.has(Switch.DEFERRED))
                .run(session.control());
        List<DeviceEntry> left = session.client().list();
        for (DeviceEntry entry : before) {
            if (left.stream().noneMatch(other -> other.name().equals(entry.name()))) {
                session.nodes().removed(entry.name());
            }
        }
    }

    /** Force is for those that can't be removed without: whoever uses them gets errors. */
    private static void removeAllByForce(Session session) throws IOException {
        try {
            removeClosed(session);
        } catch (DmException e) {
            if (!e.is(Errno.EBUSY)) {
                throw e;
            }
        }
        List<DeviceEntry> inUse = session.client().list();
        if (inUse.isEmpty()) {
            return;
        }
        for (DeviceEntry entry : inUse) {
            DeviceId device = DeviceId.ofName(entry.name());
            try {
                makeWay(session, device);
                TableCommands.wipe(session, device, true, true);
            } catch (DmException e) {
                session.err().println(e.getMessage());
            }
        }
        removeClosed(session);
        int left = session.client().list().size();
        if (left > 0) {
            session.err().println("Unable to remove " + left + " device(s).");
        }
    }

    static boolean rename(Session session, List<String> operands) throws IOException {
        boolean bySwitch = operands.size() == 1;
        DeviceId device = session.device(bySwitch ? null : operands.get(0));
        String text = operands.get(bySwitch ? 0 : 1);
        boolean setUuid = session.has(Switch.SETUUID);
        if (text.isEmpty()) {
            throw new CommandLineException("Non empty new " + (setUuid ? "uuid" : "name") + " is required.");
        }
        String mangled = session.mangledNew(setUuid, text);
        DmIoctl io = DmCall.of("rename", DmCommand.DEV_RENAME, device)
                .flag(DmFlags.UUID, setUuid)
                .text(mangled)
                .udevFlags(session.nodes().flagsForChange())
                .run(session.control());
        if (!setUuid) {
            session.nodes().renamed(io.name(), mangled);
        }
        return true;
    }

    static boolean message(Session session, List<String> operands) throws IOException {
        boolean bySwitch = session.deviceBySwitch();
        DeviceId device = session.device(bySwitch ? null : operands.get(0));
        int sectorAt = bySwitch ? 0 : 1;
        long sector = sector(operands.get(sectorAt));
        if (operands.size() == sectorAt + 1) {
            session.err().println("No message supplied.");
        }
        String answer = session.client()
                .message(device, sector, String.join(" ", operands.subList(sectorAt + 1, operands.size())));
        if (answer != null) {
            session.out().print(answer.endsWith("\n") || answer.isEmpty() ? answer : answer + "\n");
        }
        return true;
    }

    private static long sector(String text) throws CommandLineException {
        try {
            return Numbers.decimal("sector", text, Long.MAX_VALUE);
        } catch (CommandLineException e) {
            throw new CommandLineException("Invalid sector.", e);
        }
    }

    /** Returns when the device's event number is higher than one that was seen. */
    static boolean await(Session session, List<String> operands) throws IOException {
        boolean bySwitch = session.deviceBySwitch();
        DeviceId device = session.device(bySwitch || operands.isEmpty() ? null : operands.get(0));
        int numberAt = bySwitch ? 0 : 1;
        int seen = operands.size() > numberAt ? Numbers.leading("event number", operands.get(numberAt)) : 0;
        DmIoctl io = DmCall.of("waitevent", DmCommand.DEV_WAIT, device)
                .eventNr(seen)
                .flag(DmFlags.NOFLUSH, session.has(Switch.NOFLUSH))
                .flag(DmFlags.QUERY_INACTIVE_TABLE, session.has(Switch.INACTIVE))
                .run(session.control());
        InfoCommand.printIfVerbose(session, io);
        return true;
    }

    static boolean makeNodes(Session session, List<String> operands) throws IOException {
        if (!operands.isEmpty() || session.deviceBySwitch()) {
            makeNode(session, session.deviceOf(operands));
            return true;
        }
        Set<String> names = new HashSet<>();
        for (DeviceEntry entry : session.client().list()) {
            makeNode(session, DeviceId.ofName(entry.name()));
            names.add(entry.name());
        }
        session.nodes().only(names);
        return true;
    }

    private static void makeNode(Session session, DeviceId device) throws IOException {
        DmIoctl io = DmCall.of("mknodes", DmCommand.DEV_STATUS, device)
                .flag(DmFlags.SKIP_BDGET, true)
                .runIfThere(session.control());
        if (io == null) {
            session.nodes().removed(device.name());
        } else {
            session.nodes().added(io.name(), io.dev());
        }
    }

    /** Renames a device whose name has bytes that udev can't bear; a uuid can't be changed. */
    static boolean mangle(Session session, List<String> operands) throws IOException {
        if (operands.isEmpty() && !session.deviceBySwitch()) {
            boolean done = true;
            for (DeviceEntry entry : session.client().list()) {
                done &= mangle(session, DeviceId.ofName(entry.name()));
            }
            return done;
        }
        return mangle(session, session.deviceOf(operands));
    }

    private static boolean mangle(Session session, DeviceId device) throws IOException {
        DmIoctl io = session.client().info(device);
        String mangled = Mangling.mangledForm(io.name());
        boolean uuidIsFine = Mangling.mangledForm(io.uuid()).equals(io.uuid());
        String subject = io.name() + ": " + (io.uuid().isEmpty() ? "[no UUID]" : io.uuid()) + ": ";
        if (!uuidIsFine) {
            session.err().println(subject + "UUID in incorrect form. Unable to change device UUID.");
        }
        if (mangled.equals(io.name())) {
            boolean both = !io.uuid().isEmpty() && uuidIsFine;
            session.out().println(subject + (both ? "name and UUID" : "name") + " already in correct form");
        } else {
            session.out().println(io.name() + ": renaming to " + mangled);
            DmCall.of("rename", DmCommand.DEV_RENAME, DeviceId.ofName(io.name()))
                    .text(mangled)
                    .udevFlags(session.nodes().flagsForChange())
                    .run(session.control());
            session.nodes().renamed(io.name(), mangled);
        }
        return uuidIsFine;
    }
}
