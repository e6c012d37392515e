// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.util.List;
import org.dmera.tools.backup.ApplyCommand;
import org.dmera.tools.backup.CopyCommand;
import org.dmera.tools.check.CheckCommand;
import org.dmera.tools.check.RepairCommand;
import org.dmera.tools.cli.Command;
import org.dmera.tools.generate.GenerateCommand;
import org.dmera.tools.stat.PlotCommand;
import org.dmera.tools.stat.StatCommand;

/**
 * The commands by name. A command's class is loaded when its name is asked for and not before: what another command
 * needs must not slow this one down.
 */
public final class Commands {
    private static final List<String> NAMES = List.of(
            "era_check", //
            "era_dump", //
            "era_invalidate", //
            "era_repair", //
            "era_restore", //
            "generate", //
            "generate-completion", //
            "era_apply", //
            "era_copy", //
            "era_stat", //
            "era_plot");

    private Commands() {}

    /** Every command, in the order of help. */
    public static List<String> names() {
        return NAMES;
    }

    /** The command called {@code name} ({@code era_dump}, or {@code dump} for short), or null when there is none. */
    public static Command find(String name) {
        return switch (name) {
            case "era_check", "check" -> new CheckCommand();
            case "era_copy", "copy" -> new CopyCommand();
            case "era_apply", "apply" -> new ApplyCommand();
            case "era_stat", "stat" -> new StatCommand();
            case "era_plot", "plot" -> new PlotCommand();
            case "era_dump", "dump" -> new DumpCommand();
            case "era_invalidate", "invalidate" -> new InvalidateCommand();
            case "era_restore", "restore" -> new RestoreCommand();
            case "era_repair", "repair" -> new RepairCommand();
            case "generate" -> new GenerateCommand();
            case "generate-completion" -> new GenerateCompletionCommand();
            default -> null;
        };
    }
}
