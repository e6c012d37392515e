// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;

/** Commands on the table slots: {@code load} (or {@code reload}), {@code clear}, {@code wipe_table}. */
final class TableCommands {
    private TableCommands() {}

    static boolean load(Session session, List<String> operands) throws IOException {
        if (operands.isEmpty() && !session.deviceBySwitch()) {
            throw new CommandLineException("Please specify device.");
        }
        boolean bySwitch = session.deviceBySwitch();
        String file =
                bySwitch ? operands.isEmpty() ? null : operands.get(0) : operands.size() > 1 ? operands.get(1) : null;
        DeviceId device = session.device(bySwitch ? null : operands.get(0));
        List<TargetSpec> specs = TableText.read(session, file);
        DmIoctl io = DmCall.of("reload", DmCommand.TABLE_LOAD, device)
                .flag(DmFlags.READONLY, session.has(Switch.READONLY))
                .table(CreateCommand.forChannel(session, specs))
                .run(session.control());
        InfoCommand.printIfVerbose(session, io);
        return true;
    }

    static boolean clear(Session session, List<String> operands) throws IOException {
        DmIoctl io = DmCall.of("clear", DmCommand.TABLE_CLEAR, session.deviceOf(operands))
                .run(session.control());
        InfoCommand.printIfVerbose(session, io);
        return true;
    }

    static boolean wipe(Session session, List<String> operands) throws IOException {
        wipe(session, session.deviceOf(operands), session.has(Switch.NOFLUSH), session.has(Switch.NOLOCKFS));
        return true;
    }

    /** Replaces the device's table by one of the same size on which all I/O fails. */
    static void wipe(Session session, DeviceId device, boolean noFlush, boolean noLockFs) throws IOException {
        long sectors = 0;
        try {
            for (TargetSpec line : session.client().table(device)) {
                sectors = Math.max(sectors, line.startSector() + line.lengthSectors());
            }
        } catch (DmException e) {
            // What it means for the device, the load says.
            session.err().println(e.getMessage());
        }
        DmCall.of("reload", DmCommand.TABLE_LOAD, device)
                .flag(DmFlags.READONLY, session.has(Switch.READONLY))
                .table(List.of(new TargetSpec(0, sectors, "error", "")))
                .run(session.control());
        DmIoctl resumed = DmCall.of("resume", DmCommand.DEV_SUSPEND, device)
                .flag(DmFlags.NOFLUSH, noFlush)
                .flag(DmFlags.SKIP_LOCKFS, noLockFs)
                .udevFlags(session.nodes().flagsForChange())
                .run(session.control());
        session.nodes().added(resumed.name(), resumed.dev());
    }
}
