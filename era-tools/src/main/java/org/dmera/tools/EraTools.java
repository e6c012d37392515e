// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.HelpText;
import org.dmera.tools.cli.NearMiss;
import org.dmera.tools.cli.Usage;

/** {@code era-tools} without a command that it knows: says which there are. */
public final class EraTools implements Command {
    /** Its help lists the {@link Commands} besides. */
    public static final Usage USAGE = new Usage(
                    "era-tools", "Tools for dm-era metadata: which blocks of a device were written since when.")
            .operand("COMMAND", "What to do; era-tools <COMMAND> --help says how");

    private EraTools() {}

    @Override
    public Usage usage() {
        return USAGE;
    }

    /**
     * Runs it on {@code args} from {@code from} on, where no command is named that there is. Without a word it lists the
     * commands, and fails, for it was asked to do nothing.
     */
    static int run(String[] args, int from) {
        EraTools tools = new EraTools();
        if (args.length == from) {
            int code = CommandLine.run(tools, args, from);
            listCommands();
            return code;
        }
        // What follows an unknown command is of no interest, not even --help.
        boolean isCommand = !args[from].startsWith("-");
        return CommandLine.run(tools, isCommand ? new String[] {"--", args[from]} : args, isCommand ? 0 : from);
    }

    private static void listCommands() {
        try {
            System.err.print("\n" + HelpText.commands(USAGE));
        } catch (IOException e) {
            System.err.println("era-tools: " + e.getMessage());
        }
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        String name = arguments.operand(0);
        String similar = NearMiss.of(name, Commands.names());
        throw new IOException("unrecognized command '" + name + "': "
                + (similar != null
                        ? "did you mean " + similar + "?"
                        : "one of " + String.join(", ", Commands.names())));
    }
}
