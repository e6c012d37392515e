// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;

/** {@code ls}: the devices by name, those with a target type, a command on each, or ({@code --tree}) as a tree. */
final class ListCommand {
    boolean run(Session session, List<String> operands) throws IOException {
        if (session.has(Switch.TREE)) {
            return new TreeCommand().run(session, operands);
        }
        DeviceNames names = new DeviceNames(session);
        List<DeviceEntry> entries = session.devices();
        String type = session.switches().value(Switch.TARGET);
        Json json = session.has(Switch.JSON)
                ? new Json().beginObject().key("devices").beginArray()
                : null;
        boolean[] succeeded = {true};
        Listing listing =
                new Listing(entries.stream().map(e -> DeviceId.ofName(e.name())).toList(), true);
        Iterator<DeviceEntry> each = entries.iterator();
        boolean found = listing.forEach(session, device -> {
            DeviceEntry entry = each.next();
            String name = session.unmangle(entry.name());
            if (type != null && !hasTarget(session, device, type)) {
                return true;
            }
            if (json != null) {
                describe(session, json, entry);
            } else if (session.has(Switch.EXEC)) {
                succeeded[0] &= ExecOption.run(session, name);
            } else if (type != null) {
                session.out()
                        .println(name + "\t(" + DevNumber.major(entry.dev()) + ", " + DevNumber.minor(entry.dev())
                                + ")");
            } else {
                session.out().println(name + "\t(" + names.ofListed(entry.dev()) + ")");
            }
            return true;
        });
        if (json != null) {
            session.out().println(json.endArray().endObject());
        }
        return found && succeeded[0];
    }

    private static boolean hasTarget(Session session, DeviceId device, String type) throws IOException {
        return session.client().status(device).stream()
                .anyMatch(line -> line.type().equals(type));
    }

    private static void describe(Session session, Json json, DeviceEntry entry) throws IOException {
        List<Long> below = session.client().dependencies(DeviceId.ofName(entry.name()), session.has(Switch.INACTIVE));
        json.beginObject()
                .field("name", session.unmangle(entry.name()))
                .field("major", DevNumber.major(entry.dev()))
                .field("minor", DevNumber.minor(entry.dev()));
        json.key("depends_on").beginArray();
        for (long dev : below) {
            json.value(DevNumber.text(dev));
        }
        json.endArray().endObject();
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
