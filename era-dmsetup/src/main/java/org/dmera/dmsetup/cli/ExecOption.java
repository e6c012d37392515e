// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.Words;

/** {@code --exec}: a command for each device. */
final class ExecOption {
    private ExecOption() {}

    /**
     * Runs the command with the device's path as its last argument. As with dmsetup, how it ends is its own affair; false
     * when it can't be run.
     */
    static boolean run(Session session, String name) throws IOException {
        List<String> command = Words.split(session.switches().value(Switch.EXEC));
        if (command.isEmpty()) {
            throw new IOException("--exec: expected a command");
        }
        command.add("/dev/mapper/" + name);
        session.out().flush();
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
        NativeText.restoreLocale(builder.environment());
        try {
            builder.start().waitFor();
            return true;
        } catch (IOException e) {
            session.err().println(e.getMessage());
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
