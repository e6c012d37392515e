// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.TargetSpec;

/** {@code ls}: the devices by name, those with a target type, a command on each, or ({@code --tree}) as a tree. */
final class ListCommand implements Command {
    @Override
    public boolean run(Session session, List<String> operands) throws IOException, CommandLineException {
        if (session.has(Switch.TREE)) {
            return new TreeCommand().run(session, operands);
        }
        DeviceNames names = new DeviceNames(session);
        List<DeviceEntry> entries = session.devices();
        if (session.has(Switch.JSON)) {
            return json(session, entries);
        }
        String type = session.switches().value(Switch.TARGET);
        for (DeviceEntry entry : entries) {
            if (type != null && !hasTarget(session, entry, type)) {
                continue;
            }
            String name = session.unmangle(entry.name());
            if (session.has(Switch.EXEC)) {
                if (!execute(session, name)) {
                    return false;
                }
            } else if (type != null) {
                session.out()
                        .println(name + "\t(" + DevNumber.major(entry.dev()) + ", " + DevNumber.minor(entry.dev())
                                + ")");
            } else {
                session.out().println(name + "\t(" + names.ofListed(entry.dev()) + ")");
            }
        }
        return true;
    }

    private static boolean hasTarget(Session session, DeviceEntry entry, String type) throws IOException {
        for (TargetSpec line : session.client().status(DeviceId.ofName(entry.name()))) {
            if (line.type().equals(type)) {
                return true;
            }
        }
        return false;
    }

    /** Runs the command of {@code --exec} with the device's path as its last argument. */
    private static boolean execute(Session session, String name) throws IOException {
        List<String> command = new ArrayList<>();
        for (String word : session.switches().value(Switch.EXEC).split(" ", -1)) {
            if (!word.isEmpty()) {
                command.add(word);
            }
        }
        command.add("/dev/mapper/" + name);
        session.out().flush();
        try {
            ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
            NativeText.restoreLocale(builder.environment());
            return builder.start().waitFor() == 0;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static boolean json(Session session, List<DeviceEntry> entries) throws IOException {
        String type = session.switches().value(Switch.TARGET);
        Json json = new Json().beginObject().key("devices").beginArray();
        for (DeviceEntry entry : entries) {
            if (type == null || hasTarget(session, entry, type)) {
                json.beginObject()
                        .field("name", session.unmangle(entry.name()))
                        .field("major", DevNumber.major(entry.dev()))
                        .field("minor", DevNumber.minor(entry.dev()));
                json.key("depends_on").beginArray();
                for (long dev :
                        session.client().dependencies(DeviceId.ofName(entry.name()), session.has(Switch.INACTIVE))) {
                    json.value(DevNumber.text(dev));
                }
                json.endArray().endObject();
            }
        }
        session.out().println(json.endArray().endObject());
        return true;
    }

    /** Fails for words of {@code -o} that mean nothing here, before device-mapper is asked. */
    static void check(Switches switches) throws CommandLineException {
        if (switches.has(Switch.TREE)) {
            TreeOptions.of(switches);
        } else if (!switches.operands().isEmpty()
                && List.of("ls", "deps").contains(switches.operands().get(0))) {
            DeviceNames.Style.of(switches);
        }
    }
}
