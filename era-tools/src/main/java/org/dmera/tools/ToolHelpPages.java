// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.ServeUsage;
import org.dmera.tools.cli.HelpPages;
import org.dmera.tools.cli.HelpText;
import org.dmera.tools.cli.Usage;
import picocli.CommandLine.Model.CommandSpec;

/** The help of every program whose table of options is in era-tools. The build runs it; it is not installed. */
public final class ToolHelpPages {
    private ToolHelpPages() {}

    /**
     * Writes them.
     *
     * @param args the folder of the compiled classes
     */
    public static void main(String[] args) throws IOException {
        HelpPages.write(args[0], HelpPages.class, pages());
    }

    /** The texts by their files' names. */
    public static Map<String, String> pages() {
        Map<String, String> pages = new LinkedHashMap<>();
        CommandSpec eraTools = HelpPages.spec(EraTools.USAGE);
        for (String name : Commands.names()) {
            Usage usage = Commands.find(name).usage();
            pages.put(HelpText.fileName(usage), HelpPages.of(usage));
            CommandSpec command = CommandSpec.create();
            command.usageMessage().description(HelpPages.plain(usage.about()));
            eraTools.addSubcommand(name, command);
        }
        for (Usage usage : List.of(BackupUsage.usage(), ServeUsage.usage())) {
            pages.put(HelpText.fileName(usage), HelpPages.of(usage));
        }
        pages.put(HelpText.fileName(EraTools.USAGE), HelpPages.render(eraTools));
        return pages;
    }
}
