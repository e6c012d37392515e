// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import org.dmera.tools.cli.CommandLine;

/** Entry point of {@code era-tools} and of the launchers under the tools' classic names. */
public final class Main {
    private Main() {}

    /** Runs {@code args[0]} (a program's name) with the arguments after it. */
    public static void main(String[] args) {
        Command command = args.length == 0 ? null : Commands.find(args[0]);
        int code = command == null ? CommandLine.run(new EraTools(), args, 0) : CommandLine.run(command, args, 1);
        System.exit(code);
    }
}
