// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.MalformedPayloadException;
import org.dmera.dmsetup.ioctl.TargetVersion;

/** Commands that are about no device, and what is special to engines and era devices. */
final class MiscCommands {
    /** The dmsetup whose behaviour this program copies; scripts look at this line. */
    private static final String LIBRARY_VERSION = "1.02.185 (2022-05-18)";

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
        try {
            for (TargetVersion v : TargetVersion.decode(io)) {
                String padding = " ".repeat(Math.max(0, 16 - v.name().length()));
                session.out().println(v.name() + padding + " v" + v.major() + "." + v.minor() + "." + v.patch());
            }
        } catch (MalformedPayloadException e) {
            throw new IOException("device-mapper: malformed answer: " + e.getMessage(), e);
        }
    }

    /** The parts of an LVM device's name. */
    static boolean splitName(Session session, List<String> operands) {
        LvmName name = LvmName.parse(operands.get(0));
        String[][] columns = {
            {"VG", name.group()}, {"LV", name.volume()}, {"LVLayer", name.layer()},
        };
        for (int row = session.has(Switch.NOHEADINGS) ? 1 : 0; row < 2; row++) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < columns.length; i++) {
                int width = Math.max(i == 2 ? 7 : 4, columns[i][1].length());
                line.append(i == 0 ? "" : " ").append(columns[i][row]);
                line.append(" ".repeat(Math.max(0, width - columns[i][row].length())));
            }
            session.out().println(line);
        }
        return true;
    }

    static boolean help(Session session, List<String> operands) {
        Usage.print(session.err());
        if (session.has(Switch.COLUMNS)) {
            Report.printFields(session.err());
        }
        return true;
    }

    /** A new era: its number is what a backup must remember. */
    static boolean checkpoint(Session session, List<String> operands) throws IOException, CommandLineException {
        long era = session.client().checkpoint(Operands.device(session, operands));
        if (session.has(Switch.JSON)) {
            session.out().println(new Json().beginObject().field("era", era).endObject());
        } else {
            session.out().println(era);
        }
        return true;
    }

    /** Where NBD clients find the device. */
    static boolean uri(Session session, List<String> operands) throws IOException, CommandLineException {
        if (session.control().isKernel()) {
            throw new CommandLineException("uri: the kernel's devices are not served by NBD; they have nodes in /dev.");
        }
        session.out().println(session.client().message(Operands.device(session, operands), 0, "@uri"));
        return true;
    }
}
