// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import org.dmera.tools.cli.CommandLine;

/** Entry point of {@code era-tools} and of the launchers under the tools' classic names. */
public final class Main {
    private Main() {}

    /** Runs {@code args[0]} (a program's name) with the arguments after it. */
    public static void main(String[] args) {
        int at = args.length > 0 && args[0].equals("era-tools") ? 1 : 0;
        Command command = args.length == at ? null : Commands.find(args[at]);
        int code = command == null ? CommandLine.run(new EraTools(), args, at) : CommandLine.run(command, args, at + 1);
        CommandLine.leave(code);
    }
}
