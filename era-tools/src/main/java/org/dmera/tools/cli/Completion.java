// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.cli;

import java.util.List;
import org.dmera.tools.Command;
import org.dmera.tools.Commands;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.ServeUsage;
import picocli.AutoComplete;
import picocli.CommandLine.Model.CommandSpec;

/** Completion scripts, as picocli makes them of the same model that it parses by. */
public final class Completion {
    private Completion() {}

    /**
     * The script for all programs: those with a launcher of their own, and era-tools with all as its commands. It is for
     * bash, and asks zsh, where that runs it, for bash's way of completion.
     */
    public static String script() {
        StringBuilder script = new StringBuilder();
        CommandSpec all = CommandSpec.create().name("era-tools");
        for (String name : Commands.names()) {
            Command command = Commands.find(name);
            all.addSubcommand(name, PicocliModel.of(command.usage()));
            if (name.startsWith("era_")) {
                script.append(AutoComplete.bash(name, new picocli.CommandLine(PicocliModel.of(command.usage()))));
            }
        }
        for (Usage above : List.of(BackupUsage.usage(), ServeUsage.usage())) {
            script.append(AutoComplete.bash(above.program(), new picocli.CommandLine(PicocliModel.of(above))));
        }
        return script.append(AutoComplete.bash("era-tools", new picocli.CommandLine(all)))
                .toString();
    }
}
