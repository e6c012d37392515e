// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.targets.Failures;

/** {@code info}: a device's state, as a block of lines, as JSON, or ({@code -c}) as a row of a report. */
final class InfoCommand {
    /** What the kernel gives a new queue, in sectors. An engine's devices have no read-ahead, but scripts expect a line. */
    private static final int DEFAULT_READ_AHEAD_SECTORS = 256;

    boolean run(Session session, List<String> operands) throws IOException {
        if (session.has(Switch.JSON)) {
            Json json = new Json().beginObject().key("devices").beginArray();
            boolean all = forEach(session, operands, state -> state.json(json));
            session.out().println(json.endArray().endObject());
            return all;
        }
        if (!session.has(Switch.COLUMNS)) {
            return forEach(session, operands, state -> print(session, state));
        }
        Report report = Report.ofInfo(session);
        if (report == null) {
            return true;
        }
        return Repetition.run(session, () -> {
            List<DeviceState> states = new ArrayList<>();
            boolean all = forEach(session, operands, states::add);
            DeviceGraph graph = report.needsDependencies() ? DeviceGraph.read(session) : DeviceGraph.none();
            List<Report.Row> rows = new ArrayList<>();
            for (DeviceState state : states) {
                rows.add(field -> field.value(session, state, graph));
            }
            if (!rows.isEmpty()) {
                report.print(rows);
            }
            return all;
        });
    }

    /** Runs {@code action} on the states of the devices that the command names; false when one does not exist. */
    private static boolean forEach(Session session, List<String> operands, Failures.Use<DeviceState> action)
            throws IOException {
        return Listing.of(session, operands).forEach(session, device -> {
            DmIoctl io = session.info(device);
            if (io != null) {
                action.with(DeviceState.of(session, io));
            }
            return io != null;
        });
    }

    /** Prints the state that a call has left a device in, if the user asked to be told. */
    static void printIfVerbose(Session session, DmIoctl io) throws IOException {
        if (session.switches().verbosity() > 0) {
            print(session, DeviceState.of(session, io));
        }
    }

    /** Prints the block of lines, and a blank one. */
    static void print(Session session, DeviceState state) throws IOException {
        PrintStream out = session.out();
        out.println("Name:              " + state.name());
        out.println("State:             " + (state.suspended() ? "SUSPENDED" : "ACTIVE")
                + (state.deferredRemove() ? " (DEFERRED REMOVE)" : "")
                + (state.readOnly() ? " (READ-ONLY)" : ""));
        int readAhead = readAheadSectors(session, state);
        if (readAhead > 0) {
            out.println("Read Ahead:        " + readAhead);
        }
        if (!state.live() && !state.inactive()) {
            out.println("Tables present:    None");
        } else {
            out.println("Tables present:    " + (state.live() ? "LIVE" : "")
                    + (state.live() && state.inactive() ? " & " : "") + (state.inactive() ? "INACTIVE" : ""));
        }
        out.println("Open count:        " + state.openCount());
        out.println("Event number:      " + Integer.toUnsignedString(state.eventNr()));
        out.println("Major, minor:      " + state.major() + ", " + state.minor());
        out.println("Number of targets: " + state.targetCount());
        if (!state.uuid().isEmpty()) {
            out.println("UUID: " + state.uuid());
        }
        out.println();
    }

    /** The device's read-ahead, 0 when it has none yet: a kernel's device has its queue since its first table. */
    static int readAheadSectors(Session session, DeviceState state) throws IOException {
        if (!session.control().isKernel()) {
            return state.live() || state.inactive() ? DEFAULT_READ_AHEAD_SECTORS : 0;
        }
        Path file = Path.of("/sys/dev/block", state.major() + ":" + state.minor(), "bdi", "read_ahead_kb");
        try {
            return 2 * Integer.parseInt(Files.readString(file).trim());
        } catch (NoSuchFileException e) {
            return 0;
        }
    }
}
