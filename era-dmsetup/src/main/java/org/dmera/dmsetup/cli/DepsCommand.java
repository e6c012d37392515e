// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;

/** {@code deps}: what devices sit on. */
final class DepsCommand {
    boolean run(Session session, List<String> operands) throws IOException {
        DeviceNames names = new DeviceNames(session);
        Listing listing = Listing.of(session, operands);
        return listing.forEach(session, device -> {
            boolean verbose = session.switches().verbosity() > 0;
            if (verbose) {
                InfoCommand.print(
                        session, DeviceState.of(session, session.client().info(device)));
            }
            String name = device.name().isEmpty() ? "" : session.unmangle(device.name());
            print(session, names, device, listing.withNames() && !verbose ? name + ": " : "");
            if (verbose && listing.withNames()) {
                session.out().println();
            }
            return true;
        });
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
