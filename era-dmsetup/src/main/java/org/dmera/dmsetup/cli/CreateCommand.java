// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;

/** {@code create}: a device, its table, and its first resume; all of it or nothing. */
final class CreateCommand {
    /** What is to be created; {@code specs} null for no table. */
    private record Wanted(String name, DeviceId id, boolean readOnly, List<TargetSpec> specs) {
        /** A minor without a major is the mapped devices' own; messages are to name both. */
        Wanted withMajor(int major) {
            return new Wanted(name, new DeviceId(id.name(), id.uuid(), major, id.minor()), readOnly, specs);
        }
    }

    boolean run(Session session, List<String> operands) throws IOException {
        if (session.has(Switch.CONCISE)) {
            return runConcise(session, operands);
        }
        if (operands.isEmpty()) {
            throw new CommandLineException("Please provide a name for the new device.");
        }
        String name = operands.get(0);
        List<TargetSpec> specs = session.has(Switch.NOTABLE)
                ? null
                : TableText.read(session, operands.size() > 1 ? operands.get(1) : null);
        if (session.has(Switch.ENROLL)) {
            ActivationCommands.requireEra(specs);
        }
        session.openForCreation();
        if (session.has(Switch.ATTACH)) {
            Attachments.requireEngine(session);
        }
        ReadAhead.check(session);
        int major = session.has(Switch.MAJOR) ? session.switches().number(Switch.MAJOR) : -1;
        int minor = session.has(Switch.MINOR) ? session.switches().number(Switch.MINOR) : -1;
        String mangled = session.createdName(name);
        String uuid = session.has(Switch.UUID)
                ? session.mangledUuid(session.switches().value(Switch.UUID))
                : "";
        create(
                session,
                new Wanted(mangled, new DeviceId(mangled, uuid, major, minor), session.has(Switch.READONLY), specs));
        try {
            boolean done = !session.has(Switch.ATTACH) || Attachments.attach(session, mangled);
            if (session.has(Switch.ENROLL)) {
                ActivationCommands.enroll(session, name, specs.get(0));
            }
            return done;
        } catch (IOException | RuntimeException e) {
            revert(session, mangled, e);
            throw e;
        }
    }

    private static void create(Session session, Wanted wanted) throws IOException {
        DmIoctl made = DmCall.of("create", DmCommand.DEV_CREATE, wanted.id)
                .udevFlags(session.nodes().flagsForCreate())
                .withName(wanted.name)
                .run(session.control());
        try {
            if (wanted.specs == null || wanted.specs.isEmpty()) {
                if (session.has(Switch.ADDNODEONCREATE)) {
                    session.nodes().added(wanted.name, made.dev());
                }
                InfoCommand.printIfVerbose(session, made);
                return;
            }
            DmCall.of("reload", DmCommand.TABLE_LOAD, DeviceId.ofNumber(wanted.name, made.dev()))
                    .flag(DmFlags.READONLY, wanted.readOnly)
                    .table(forChannel(session, wanted.specs))
                    .run(session.control());
            DmIoctl resumed = DmCall.of("resume", DmCommand.DEV_SUSPEND, DeviceId.ofName(wanted.name))
                    .flag(DmFlags.READONLY, wanted.readOnly)
                    .flag(DmFlags.NOFLUSH, session.has(Switch.NOFLUSH))
                    .flag(DmFlags.SKIP_LOCKFS, session.has(Switch.NOLOCKFS))
                    .udevFlags(session.nodes().flagsForChange())
                    .run(session.control());
            session.nodes().added(wanted.name, resumed.dev());
            ReadAhead.apply(session, resumed);
            InfoCommand.printIfVerbose(session, resumed);
        } catch (IOException | RuntimeException e) {
            revert(session, wanted.name, e);
            throw e;
        }
    }

    /** Takes the new device away again. */
    private static void revert(Session session, String name, Exception cause) {
        try {
            DmCall.of("remove", DmCommand.DEV_REMOVE, DeviceId.ofName(name))
                    .udevFlags(session.nodes().flagsForChange())
                    .run(session.control());
            session.nodes().removed(name);
        } catch (IOException e) {
            session.err().println("Failed to revert device creation.");
            cause.addSuppressed(e);
        }
    }

    /** An engine runs elsewhere, so it gets absolute paths. The kernel gets what the user wrote. */
    static List<TargetSpec> forChannel(Session session, List<TargetSpec> specs) throws IOException {
        return session.control().isKernel() ? specs : TableText.absolute(specs);
    }

    private static boolean runConcise(Session session, List<String> operands) throws IOException {
        for (Switch s : new Switch[] {Switch.TABLE, Switch.NOTABLE, Switch.MINOR, Switch.UUID, Switch.INACTIVE}) {
            if (session.has(s)) {
                throw new CommandLineException(
                        "--concise is incompatible with --[no]table, --minor, --uuid and --inactive.");
            }
        }
        if (operands.size() > 1) {
            throw new CommandLineException("dmsetup create --concise takes at most one argument");
        }
        String text = operands.isEmpty() ? TableText.text(session.in(), "standard input") : operands.get(0);
        List<Wanted> all = new ArrayList<>();
        for (List<String> fields : ConciseText.parse(text)) {
            all.add(wanted(session, fields));
        }
        session.openForCreation();
        ReadAhead.check(session);
        for (Wanted wanted : all) {
            create(
                    session,
                    wanted.id.hasNumber() ? wanted.withMajor(session.nodes().major()) : wanted);
        }
        return true;
    }

    private static Wanted wanted(Session session, List<String> fields) throws IOException {
        String name = fields.get(0);
        String flags = fields.get(3);
        if (!flags.isEmpty() && !flags.equals("ro") && !flags.equals("rw")) {
            throw new CommandLineException("Invalid flags parameter '" + flags + "' must be 'ro' or 'rw' or empty.");
        }
        String table = String.join("\n", fields.subList(4, fields.size()));
        return new Wanted(
                session.createdName(name),
                new DeviceId(session.createdName(name), session.mangledUuid(fields.get(1)), -1, minor(fields.get(2))),
                flags.equals("ro"),
                TableText.parse(table, ""));
    }

    private static int minor(String text) throws CommandLineException {
        return text.isEmpty() ? -1 : (int) Numbers.decimal("minor number", text, DevNumber.MINOR_LIMIT - 1);
    }
}
