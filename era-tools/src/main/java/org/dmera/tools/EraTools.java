// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;

/** {@code era-tools} without a command that it knows: says which there are. */
final class EraTools implements Command {
    @Override
    public Usage usage() {
        StringBuilder commands = new StringBuilder("Commands:");
        for (String name : Commands.names()) {
            commands.append("\n  ").append(name).append(" ".repeat(Math.max(1, 22 - name.length())));
            commands.append(Commands.find(name).usage().about());
        }
        return new Usage("era-tools", "Tools for dm-era metadata: which blocks of a device were written since when.")
                .operand("COMMAND", "What to do; era-tools <COMMAND> --help says how")
                .footer(commands.toString());
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        String name = arguments.operand(0);
        throw new IOException("unrecognized command '" + name + "': one of " + String.join(", ", Commands.names()));
    }
}
