// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.ioctl.DeviceEntry;

/** {@code deps}: what devices sit on. */
final class DepsCommand implements Command {
    @Override
    public boolean run(Session session, List<String> operands) throws IOException, CommandLineException {
        DeviceNames names = new DeviceNames(session);
        if (operands.isEmpty() && session.deviceBySwitch()) {
            print(session, names, session.device(null), "");
            return true;
        }
        List<String> devices = new ArrayList<>(operands);
        if (operands.isEmpty()) {
            for (DeviceEntry entry : session.devices()) {
                devices.add(session.unmangle(entry.name()));
            }
        }
        boolean withNames = operands.size() != 1;
        for (String device : devices) {
            print(session, names, session.device(device), withNames ? device + ": " : "");
        }
        return true;
    }

    private static void print(Session session, DeviceNames names, DeviceId device, String prefix) throws IOException {
        List<Long> devs = session.client().dependencies(device, session.has(Switch.INACTIVE));
        StringBuilder line = new StringBuilder(prefix);
        line.append(devs.size()).append(" dependencies\t:");
        for (long dev : devs) {
            line.append(" (").append(names.ofDependency(dev)).append(')');
        }
        session.out().println(line);
    }
}
