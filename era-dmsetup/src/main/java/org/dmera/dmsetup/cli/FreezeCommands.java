// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.FrozenTarget;

/** {@code freeze} and {@code thaw}: views of an engine's devices as they were at one moment. */
final class FreezeCommands {
    private FreezeCommands() {}

    static boolean freeze(Session session, List<String> operands) throws IOException {
        String cow = session.switches().value(Switch.COW);
        if (cow == null) {
            throw new CommandLineException(
                    "freeze: --cow DIR is missing: the folder for what is overwritten while there is a view.");
        }
        List<DeviceId> devices = new ArrayList<>();
        if (operands.isEmpty()) {
            devices.add(session.device(null));
        }
        for (String operand : operands) {
            DeviceId device = session.device(operand);
            if (devices.contains(device)) {
                throw new CommandLineException("freeze: " + operand + " is named twice.");
            }
            devices.add(device);
        }
        requireEngine(session, "freeze");
        Path folder = NativeText.path(cow).toAbsolutePath();
        if (!Files.isDirectory(folder)) {
            throw new CommandLineException("freeze: --cow " + cow + ": expected a folder that there is.");
        }
        for (DeviceId device : devices) {
            requireRunningEraDevice(session, device);
        }
        List<DmClient.View> views = session.client().freeze(devices, folder, !session.has(Switch.NOLOCKFS), List.of());
        if (session.has(Switch.JSON)) {
            Json json = new Json().beginObject().key("views").beginArray();
            for (DmClient.View view : views) {
                json.beginObject()
                        .field("name", session.unmangle(view.name()))
                        .field("era", view.era())
                        .endObject();
            }
            session.out().println(json.endArray().endObject());
        } else {
            views.forEach(view -> session.out().println(session.unmangle(view.name())));
        }
        return true;
    }

    private static void requireEngine(Session session, String command) throws IOException {
        if (session.control().isKernel()) {
            throw new CommandLineException(command
                    + ": the kernel's devices have no views; expected --control engine, or the path of an engine's"
                    + " socket.");
        }
    }

    private static void requireRunningEraDevice(Session session, DeviceId device) throws IOException {
        DmIoctl info = session.client().info(device);
        String name = session.unmangle(info.name());
        List<TargetSpec> table = session.client().table(device);
        if (!TargetSpec.isOne("era", table)) {
            throw new CommandLineException("freeze: " + name + " has "
                    + (table.isEmpty()
                            ? "no live table"
                            : table.size() == 1
                                    ? "a table of type " + table.get(0).type()
                                    : "a table of " + table.size() + " lines")
                    + "; expected an era device, of one line.");
        }
        if (info.has(DmFlags.SUSPEND)) {
            throw new CommandLineException("freeze: " + name + " is suspended; resume it first.");
        }
    }

    /** As a removal, of a view alone; a client that has just left it may count for a moment. */
    static boolean thaw(Session session, List<String> operands) throws IOException {
        DeviceId device = session.deviceOf(operands);
        requireEngine(session, "thaw");
        DmIoctl info = session.client().info(device);
        if (!TargetSpec.isOne(FrozenTarget.TYPE, session.client().table(device))) {
            throw new CommandLineException("thaw: " + session.unmangle(info.name())
                    + " is no view; expected the name that freeze printed, DEVICE@ERA.");
        }
        DmCall.of("thaw", DmCommand.DEV_REMOVE, device).patiently(true).run(session.control());
        return true;
    }
}
