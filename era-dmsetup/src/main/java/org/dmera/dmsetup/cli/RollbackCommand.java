// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.rollback.Rollbacks;
import org.dmera.tools.cli.Console;

/** {@code rollback}: has the volume beneath a cache rolled back, and invalidates what that made stale. */
final class RollbackCommand {
    private static final long MAX_ERA = 0xFFFFFFFFL;

    boolean run(Session session, List<String> operands) throws IOException {
        Switches switches = session.switches();
        String since = switches.value(Switch.SINCE);
        if (since == null) {
            throw new CommandLineException("rollback: --since ERA is missing: the era that began when the volume's"
                    + " snapshot was made, as checkpoint printed it.");
        }
        boolean bySwitch = session.deviceBySwitch();
        DeviceId device = session.device(bySwitch ? null : operands.get(0));
        List<String> command = operands.subList(bySwitch ? 0 : 1, operands.size());
        if (command.isEmpty()) {
            throw new CommandLineException("rollback: expected the command that rolls the volume back after --"
                    + " (true, if that has been done).");
        }
        if (!session.control().isKernel()) {
            throw new CommandLineException("rollback: caches are the kernel's: expected --control kernel.");
        }
        String folder = switches.value(Switch.STATE);
        Rollbacks.run(
                session.client(),
                device,
                session.nodes().flagsForChange(),
                era(since),
                command,
                session.has(Switch.DRY_RUN),
                folder == null ? Rollbacks.DEFAULT_FOLDER : Path.of(folder),
                line -> {
                    session.out().println(line);
                    session.out().flush();
                },
                Console.of("era-dmsetup", session.in(), session.out(), session.err(), false));
        return true;
    }

    private static long era(String text) throws CommandLineException {
        if (text.matches("[0-9]{1,10}") && Long.parseLong(text) <= MAX_ERA) {
            return Long.parseLong(text);
        }
        throw new CommandLineException("rollback: --since " + text + ": expected an era, 0 to " + MAX_ERA + ".");
    }
}
