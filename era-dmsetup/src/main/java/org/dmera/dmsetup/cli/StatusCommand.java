// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.EraStatus;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;

/** {@code status} and {@code table}: a line for each target of each device. */
final class StatusCommand implements Command {
    private final boolean asTable;

    StatusCommand(boolean asTable) {
        this.asTable = asTable;
    }

    @Override
    public boolean run(Session session, List<String> operands) throws IOException, CommandLineException {
        List<DeviceId> devices = new ArrayList<>();
        boolean all = operands.isEmpty() && !session.deviceBySwitch();
        if (all) {
            for (DeviceEntry entry : session.devices()) {
                devices.add(DeviceId.ofName(entry.name()));
            }
        } else if (operands.isEmpty()) {
            devices.add(session.device(null));
        } else {
            for (String operand : operands) {
                devices.add(session.device(operand));
            }
        }
        boolean withNames = all || devices.size() > 1;
        if (session.has(Switch.JSON)) {
            return json(session, devices);
        }
        if (asTable && session.has(Switch.CONCISE)) {
            return concise(session, devices);
        }
        for (DeviceId device : devices) {
            DmIoctl io = call(session, device);
            if (io == null) {
                session.err().println("Device does not exist.");
                return false;
            }
            print(session, io, withNames);
        }
        return true;
    }

    /** The answer; null when there is no such device and the command says so in words of its own. */
    private DmIoctl call(Session session, DeviceId device) throws IOException {
        try {
            return DmCall.of(asTable ? "table" : "status", DmCommand.TABLE_STATUS, device)
                    .flag(DmFlags.STATUS_TABLE, asTable)
                    .flag(DmFlags.NOFLUSH, session.has(Switch.NOFLUSH))
                    .flag(DmFlags.QUERY_INACTIVE_TABLE, session.has(Switch.INACTIVE))
                    .run(session.control());
        } catch (DmException e) {
            if (!asTable && e.is(Errno.ENXIO)) {
                return null;
            }
            throw e;
        }
    }

    private void print(Session session, DmIoctl io, boolean withName) throws IOException {
        String type = session.switches().value(Switch.TARGET);
        String prefix = withName && session.switches().verbosity() == 0 ? session.unmangle(io.name()) + ": " : "";
        List<TargetSpec> lines = DmClient.lines(io);
        if (session.switches().verbosity() > 0 && (type == null || matches(lines, type))) {
            InfoCommand.print(session, DeviceState.of(session, io));
        }
        if (lines.isEmpty() && type == null) {
            session.out().println(prefix);
        }
        for (TargetSpec line : lines) {
            if (type == null || type.equals(line.type())) {
                session.out().println(prefix + line.line());
            }
        }
        if (session.switches().verbosity() > 0 && (type == null || matches(lines, type))) {
            session.out().println();
        }
    }

    private static boolean matches(List<TargetSpec> lines, String type) {
        for (TargetSpec line : lines) {
            if (line.type().equals(type)) {
                return true;
            }
        }
        return false;
    }

    private boolean concise(Session session, List<DeviceId> devices) throws IOException {
        StringBuilder text = new StringBuilder();
        for (DeviceId device : devices) {
            DmIoctl io = call(session, device);
            DeviceState state = DeviceState.of(session, io);
            if (text.length() > 0) {
                text.append(';');
            }
            text.append(ConciseText.escape(state.name())).append(',');
            text.append(ConciseText.escape(state.uuid())).append(',');
            text.append(state.minor()).append(',').append(state.readOnly() ? "ro" : "rw");
            for (TargetSpec line : DmClient.lines(io)) {
                text.append(',').append(ConciseText.escape(line.line()));
            }
        }
        session.out().println(text);
        return true;
    }

    private boolean json(Session session, List<DeviceId> devices) throws IOException {
        Json json = new Json().beginObject().key("devices").beginArray();
        for (DeviceId device : devices) {
            DmIoctl io = call(session, device);
            if (io == null) {
                session.err().println("Device does not exist.");
                return false;
            }
            json.beginObject().field("name", session.unmangle(io.name()));
            json.key("targets").beginArray();
            for (TargetSpec line : DmClient.lines(io)) {
                if (!session.has(Switch.TARGET)
                        || line.type().equals(session.switches().value(Switch.TARGET))) {
                    target(session, json, DeviceId.ofName(io.name()), line);
                }
            }
            json.endArray().endObject();
        }
        session.out().println(json.endArray().endObject());
        return true;
    }

    private void target(Session session, Json json, DeviceId device, TargetSpec line) throws IOException {
        json.beginObject()
                .field("start", line.startSector())
                .field("length", line.lengthSectors())
                .field("type", line.type())
                .field(asTable ? "table" : "status", line.params());
        if (line.type().equals("era")) {
            String[] words = line.params().split(" ", -1);
            if (asTable && words.length == 3) {
                json.field("metadata_device", words[0])
                        .field("origin_device", words[1])
                        .field("block_size_sectors", Long.parseLong(words[2]));
            } else if (!asTable && words.length < 4) {
                json.field("failed", true).field("reason", reason(session, device, line));
            } else if (!asTable) {
                EraStatus era = EraStatus.parse(line.params());
                json.field("failed", false)
                        .field("metadata_block_sectors", era.metadataBlockSectors())
                        .field("metadata_used_blocks", era.usedBlocks())
                        .field("metadata_total_blocks", era.totalBlocks())
                        .field("current_era", era.currentEra());
                json.key("metadata_snapshot_block");
                if (era.snapshotBlock() < 0) {
                    json.value((String) null);
                } else {
                    json.value(era.snapshotBlock());
                }
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
