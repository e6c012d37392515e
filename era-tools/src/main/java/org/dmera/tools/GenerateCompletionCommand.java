// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.ServeUsage;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Completion;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;

/** {@code era-tools generate-completion}: the script with which a shell completes the tools' options. */
final class GenerateCompletionCommand implements Command {
    @Override
    public Usage usage() {
        return new Usage("era-tools generate-completion", "Print a script that completes the tools' options in a shell")
                .operand("SHELL", "bash, zsh or fish")
                .footer("""
                        Use it as:
                          eval "$(era-tools generate-completion bash)"
                          era-tools generate-completion fish | source""");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        String shell = arguments.operand(0);
        String script = Completion.script(shell, programs());
        if (script == null) {
            throw new IOException("no completion for " + shell + ": bash, zsh or fish");
        }
        console.print(script);
        return 0;
    }

    /** era-tools, all its commands, and the programs of another module whose options are known here. */
    private static List<Completion.Known> programs() {
        List<Completion.Known> programs = new ArrayList<>();
        programs.add(Completion.Known.ofCommands("era-tools", Commands.names()));
        for (String name : Commands.names()) {
            programs.add(Completion.Known.ofCommand(name, Commands.find(name).usage()));
        }
        programs.add(Completion.Known.ofProgram("era_backup", BackupUsage.usage(), true));
        programs.add(Completion.Known.ofProgram("era_serve", ServeUsage.usage(), false));
        return programs;
    }
}
