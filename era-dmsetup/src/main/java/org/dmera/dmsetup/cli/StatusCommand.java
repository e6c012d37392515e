// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.EraStatus;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.Words;
import org.dmera.dmsetup.targets.FrozenTarget;

/** {@code status}, {@code table} and {@code measure}: a line for each target of each device, or a command on each device. */
final class StatusCommand {
    enum Of {
        STATUS,
        TABLE,
        /** What the kernel would tell its integrity measurement of the table. */
        MEASUREMENT
    }

    private final Of of;
    private final boolean asTable;

    StatusCommand(Of of) {
        this.of = of;
        asTable = of == Of.TABLE;
    }

    boolean run(Session session, List<String> operands) throws IOException {
        Listing listing = Listing.of(session, operands);
        if (session.has(Switch.JSON)) {
            return json(session, listing);
        }
        if (asTable && session.has(Switch.CONCISE)) {
            return concise(session, listing);
        }
        if (session.has(Switch.EXEC)) {
            return execute(session, listing);
        }
        // Not a lambda: to link the first one of a process takes as long as the command itself.
        return listing.forEach(session, new Listing.Action() {
            @Override
            public boolean run(DeviceId device) throws IOException {
                DmIoctl io = call(session, device);
                if (io != null) {
                    print(session, io, listing.withNames());
                }
                return io != null;
            }
        });
    }

    /** The answer; null when there is no such device and the command says so in words of its own. */
    private DmIoctl call(Session session, DeviceId device) throws IOException {
        DmCall call = DmCall.of(of == Of.STATUS ? "status" : "table", DmCommand.TABLE_STATUS, device)
                .flag(DmFlags.STATUS_TABLE, asTable)
                .flag(DmFlags.IMA_MEASUREMENT, of == Of.MEASUREMENT)
                .flag(DmFlags.NOFLUSH, session.has(Switch.NOFLUSH))
                .flag(DmFlags.QUERY_INACTIVE_TABLE, session.has(Switch.INACTIVE));
        return asTable ? call.run(session.control()) : call.runIfThere(session.control());
    }

    /** The lines of an answer, without keys, of the targets that were asked for. */
    private List<TargetSpec> lines(Session session, DmIoctl io) throws IOException {
        String type = session.switches().value(Switch.TARGET);
        List<TargetSpec> lines = new ArrayList<>();
        for (TargetSpec line : TargetSpec.decodeAnswer(io)) {
            if (type == null || type.equals(line.type())) {
                lines.add(shown(session, line));
            }
        }
        return lines;
    }

    private TargetSpec shown(Session session, TargetSpec line) throws IOException {
        return switch (of) {
            case STATUS -> line;
            case TABLE -> session.has(Switch.SHOWKEYS) ? line : Keys.hidden(line);
            // An engine has nothing to report, as the kernel has not for an era target.
            case MEASUREMENT ->
                session.control().isKernel()
                        ? line
                        : new TargetSpec(line.startSector(), line.lengthSectors(), line.type(), "");
        };
    }

    private void print(Session session, DmIoctl io, boolean withName) throws IOException {
        boolean anyTarget = !session.has(Switch.TARGET);
        boolean verbose = session.switches().verbosity() > 0;
        String prefix = withName && !verbose ? session.unmangle(io.name()) + ": " : "";
        List<TargetSpec> lines = lines(session, io);
        if (verbose && (anyTarget || !lines.isEmpty())) {
            InfoCommand.print(session, DeviceState.of(session, io));
        }
        if (lines.isEmpty() && anyTarget) {
            session.out().println(prefix);
        }
        for (TargetSpec line : lines) {
            session.out().println(prefix + line.line());
        }
        if (verbose && withName && (anyTarget || !lines.isEmpty())) {
            session.out().println();
        }
    }

    /** Runs the command of {@code --exec} on each device that has such a target; with -v prints as well. */
    private boolean execute(Session session, Listing listing) throws IOException {
        boolean[] succeeded = {true};
        boolean found = listing.forEach(session, device -> {
            DmIoctl io = call(session, device);
            if (io == null) {
                return false;
            }
            if (session.switches().verbosity() > 0) {
                print(session, io, listing.withNames());
            }
            if (!session.has(Switch.TARGET) || !lines(session, io).isEmpty()) {
                succeeded[0] &= ExecOption.run(session, session.unmangle(io.name()));
            }
            return true;
        });
        return found && succeeded[0];
    }

    /** Every device in one line; those beneath others first, so that the line makes them all again. */
    private boolean concise(Session session, Listing listing) throws IOException {
        StringBuilder text = new StringBuilder();
        Listing ordered = listing.all() ? new Listing(DeviceGraph.bottomUp(session, listing.devices()), true) : listing;
        try {
            return concise(session, ordered, text);
        } finally {
            if (text.length() > 0) {
                session.out().println(text);
            }
        }
    }

    private boolean concise(Session session, Listing listing, StringBuilder text) throws IOException {
        return listing.forEach(session, device -> {
            DmIoctl io = call(session, device);
            List<TargetSpec> lines = lines(session, io);
            if (session.has(Switch.TARGET) && lines.isEmpty()
                    || listing.all() && TargetSpec.isOne(FrozenTarget.TYPE, lines)) {
                // No line makes a view again.
                return true;
            }
            DeviceState state = DeviceState.of(session, io);
            if (text.length() > 0) {
                text.append(';');
            }
            text.append(ConciseText.escape(state.name())).append(',');
            text.append(ConciseText.escape(state.uuid())).append(',');
            text.append(state.minor()).append(',').append(state.readOnly() ? "ro" : "rw");
            for (TargetSpec line : lines) {
                text.append(',').append(ConciseText.escape(line.line()));
            }
            return true;
        });
    }

    private boolean json(Session session, Listing listing) throws IOException {
        Json json = new Json().beginObject().key("devices").beginArray();
        boolean found = listing.forEach(session, device -> {
            DmIoctl io = call(session, device);
            if (io == null) {
                return false;
            }
            List<TargetSpec> lines = lines(session, io);
            if (session.has(Switch.TARGET) && lines.isEmpty()) {
                return true;
            }
            json.beginObject().field("name", session.unmangle(io.name()));
            json.key("targets").beginArray();
            for (TargetSpec line : lines) {
                target(session, json, DeviceId.ofName(io.name()), line);
            }
            json.endArray().endObject();
            return true;
        });
        if (found || listing.all()) {
            session.out().println(json.endArray().endObject());
        }
        return found;
    }

    private void target(Session session, Json json, DeviceId device, TargetSpec line) throws IOException {
        json.beginObject()
                .field("start", line.startSector())
                .field("length", line.lengthSectors())
                .field("type", line.type())
                .field(asTable ? "table" : "status", line.params());
        if (line.type().equals("era")) {
            List<String> words = Words.split(line.params());
            if (asTable && words.size() == 3) {
                json.field("metadata_device", words.get(0))
                        .field("origin_device", words.get(1))
                        .field("block_size_sectors", Long.parseLong(words.get(2)));
            } else if (!asTable && words.size() < 3) {
                json.field("failed", true).field("reason", reason(session, device, line));
            } else if (!asTable) {
                EraStatus era = EraStatus.parse(line.params());
                json.field("failed", false)
                        .field("metadata_block_sectors", era.metadataBlockSectors())
                        .field("metadata_used_blocks", era.usedBlocks())
                        .field("metadata_total_blocks", era.totalBlocks())
                        .field("current_era", era.currentEra());
                json.field("metadata_snapshot_block", era.snapshotBlock() < 0 ? null : era.snapshotBlock());
            }
        }
        json.endObject();
    }

    /** Why an engine's era target has failed; null when it can't be asked, as a kernel's can't. */
    private static String reason(Session session, DeviceId device, TargetSpec line) {
        try {
            return session.control().isKernel()
                    ? null
                    : session.client().message(device, line.startSector(), "@failure");
        } catch (IOException e) {
            return null;
        }
    }
}
