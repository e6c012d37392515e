// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetVersion;

/** Commands that are about no device, and what is special to engines and era devices. */
final class MiscCommands {
    /** The dmsetup whose behaviour this program copies; scripts look at this line. */
    static final String LIBRARY_VERSION = "1.02.185 (2022-05-18)";

    private MiscCommands() {}

    static boolean version(Session session, List<String> operands) throws IOException {
        session.out().println("Library version:   " + LIBRARY_VERSION);
        session.out().println("Driver version:    " + session.driverVersion());
        return true;
    }

    static boolean targets(Session session, List<String> operands) throws IOException {
        print(
                session,
                DmCall.of("versions", DmCommand.LIST_VERSIONS, DeviceId.NONE).run(session.control()));
        return true;
    }

    static boolean targetVersion(Session session, List<String> operands) throws IOException {
        print(
                session,
                DmCall.of("target-version", DmCommand.GET_TARGET_VERSION, DeviceId.NONE)
                        .targetType(operands.get(0))
                        .run(session.control()));
        return true;
    }

    private static void print(Session session, DmIoctl io) throws IOException {
        for (TargetVersion v : TargetVersion.decode(io)) {
            String padding = " ".repeat(Math.max(0, 16 - v.name().length()));
            session.out().println(v.name() + padding + " v" + v.major() + "." + v.minor() + "." + v.patch());
        }
    }

    /** The cylinders, heads, sectors and start that old partitioning programs ask for. */
    static boolean setGeometry(Session session, List<String> operands) throws IOException {
        DeviceId device = session.device(operands.get(0));
        for (String number : operands.subList(1, operands.size())) {
            Numbers.decimal("geometry", number, Long.MAX_VALUE);
        }
        DmCall.of("setgeometry", DmCommand.DEV_SET_GEOMETRY, device)
                .text(String.join(" ", operands.subList(1, operands.size())))
                .run(session.control());
        return true;
    }

    private static final String[] UDEV_FLAGS = {
        "DM_UDEV_DISABLE_DM_RULES_FLAG",
        "DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG",
        "DM_UDEV_DISABLE_DISK_RULES_FLAG",
        "DM_UDEV_DISABLE_OTHER_RULES_FLAG",
        "DM_UDEV_LOW_PRIORITY_FLAG",
        "DM_UDEV_DISABLE_LIBRARY_FALLBACK_FLAG",
        "DM_UDEV_PRIMARY_SOURCE_FLAG",
        "DM_UDEV_FLAG7",
    };

    /** The flags in a uevent's cookie, which is how udev's rules read them. */
    static boolean udevFlags(Session session, List<String> operands) throws CommandLineException {
        long cookie;
        try {
            String text = operands.get(0);
            cookie = text.startsWith("0x") || text.startsWith("0X")
                    ? Long.parseLong(text, 2, text.length(), 16)
                    : Numbers.decimal("cookie", text, 0xffff_ffffL);
        } catch (NumberFormatException | CommandLineException e) {
            throw new CommandLineException("Incorrect cookie value.", e);
        }
        if (cookie == 0) {
            throw new CommandLineException("Incorrect cookie value.");
        }
        for (int bit = 0; bit < 16; bit++) {
            if ((cookie >>> (DmFlags.UDEV_FLAGS_SHIFT + bit) & 1) != 0) {
                session.out()
                        .println((bit < UDEV_FLAGS.length ? UDEV_FLAGS[bit] : "DM_SUBSYSTEM_UDEV_FLAG" + (bit - 8))
                                + "='1'");
            }
        }
        return true;
    }

    /** The parts of a name, which only LVM's have; udev's rules ask for them. */
    static boolean splitName(Session session, List<String> operands) throws IOException {
        String subsystem = operands.size() > 1 ? operands.get(1) : LvmName.SUBSYSTEM;
        LvmName name = subsystem.equals(LvmName.SUBSYSTEM) ? LvmName.parse(operands.get(0)) : LvmName.NONE;
        Report report = Report.ofName(session);
        Report.Row row = field -> switch (field) {
            case SUBSYSTEM -> subsystem;
            case VG_NAME -> name.group();
            case LV_NAME -> name.volume();
            case LV_LAYER -> name.layer();
            default -> throw new IllegalArgumentException(field.id());
        };
        return report == null
                || Repetition.run(session, () -> {
                    report.print(List.of(row));
                    return true;
                });
    }

    /** Cookies are semaphores by which udev says that it is done. Here nodes are looked at instead. */
    static boolean noCookies(Session session, List<String> operands) {
        session.err().println("There are no udev cookies here: commands wait for nodes themselves.");
        return false;
    }

    static boolean help(Session session, List<String> operands) throws IOException {
        Usage.print(session.err());
        if (session.has(Switch.COLUMNS)) {
            Report.printFields(session.err());
        }
        return true;
    }

    /** A new era: its number is what a backup must remember. */
    static boolean checkpoint(Session session, List<String> operands) throws IOException {
        long era = session.client().checkpoint(session.deviceOf(operands));
        if (session.has(Switch.JSON)) {
            session.out().println(new Json().beginObject().field("era", era).endObject());
        } else {
            session.out().println(era);
        }
        return true;
    }

    /** Where NBD clients find the device. */
    static boolean uri(Session session, List<String> operands) throws IOException {
        if (session.control().isKernel()) {
            throw new CommandLineException("uri: the kernel's devices are not served by NBD; they have nodes in /dev.");
        }
        session.out().println(session.client().message(session.deviceOf(operands), 0, "@uri"));
        return true;
    }
}
