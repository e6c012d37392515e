// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;

/** Entry point of {@code era-tools} and of the launchers under the tools' classic names. */
public final class Main {
    private Main() {}

    /** The command as which {@code era-tools} was called, through a link that has its name; else null. */
    private static Command byNameOfLink() {
        String name = System.getProperty("era.name", "");
        return name.startsWith("era_") ? Commands.find(name) : null;
    }

    /** Runs {@code args[0]} (a program's name) with the arguments after it. */
    public static void main(String[] args) {
        int at = args.length > 0 && args[0].equals("era-tools") ? 1 : 0;
        Command command = at == 1 ? byNameOfLink() : null;
        if (command != null) {
            CommandLine.leave(CommandLine.run(command, args, at));
            return;
        }
        command = args.length == at ? null : Commands.find(args[at]);
        CommandLine.leave(command == null ? EraTools.run(args, at) : CommandLine.run(command, args, at + 1));
    }
}
