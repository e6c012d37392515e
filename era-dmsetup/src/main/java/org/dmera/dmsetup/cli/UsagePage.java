// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.dmera.tools.cli.HelpPages;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Column;
import picocli.CommandLine.Help.Column.Overflow;
import picocli.CommandLine.Help.TextTable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * Makes the text that {@link Usage} prints, by picocli: dmsetup's commands as their synopses, for whoever comes here knows
 * them, and ours with what they do. The build runs it; neither this class nor picocli is part of what is installed.
 */
final class UsagePage {
    /** The column in which a command's description begins. */
    private static final int DESCRIPTIONS_AT = 25;

    private final CommandSpec program = CommandSpec.create().name("era-dmsetup");

    private UsagePage() {}

    /**
     * Writes the text.
     *
     * @param args the folder of the compiled classes
     */
    public static void main(String[] args) throws IOException {
        HelpPages.write(args[0], UsagePage.class, Map.of(Usage.FILE, text()));
    }

    static String text() {
        UsagePage page = new UsagePage();
        page.addCommandsOfDmsetup();
        page.addCommandsBesides();
        page.addOptions();
        return HelpPages.render(page.laidOut());
    }

    private void addCommandsOfDmsetup() {
        add(
                "create NAME [-u UUID] [-j MAJOR -m MINOR] [-r] [-n | --table TABLE | FILE] [--attach]",
                "       [--enroll [--eratab FILE]]",
                "create --concise [SPECIFICATIONS]");
        add("load | reload DEVICE [--table TABLE | FILE]");
        add("clear DEVICE...");
        add("suspend [--noflush] [--nolockfs] DEVICE...");
        add("resume [--noflush] [--nolockfs] DEVICE...");
        add("remove [-f] [--retry] [--deferred] DEVICE...");
        add("remove_all [-f] [--deferred]");
        add("rename DEVICE [--setuuid] NAME_OR_UUID");
        add("wipe_table DEVICE...");
        add("message DEVICE SECTOR MESSAGE");
        add("status [--target TYPE] [--noflush] [--inactive] [--json] [DEVICE...]");
        add("table [--target TYPE] [--inactive] [--showkeys] [--concise | --json] [DEVICE...]");
        add(
                "info [-c [-o FIELDS] [-O FIELDS] [--noheadings | --headings none|abbrev|full]",
                "         [--separator TEXT] [--rows] [--unbuffered]",
                "         [--nameprefixes [--unquoted]] [--count TIMES] [--interval SECONDS]]",
                "         [--json] [DEVICE...]");
        add("ls [--target TYPE] [--exec COMMAND] [--tree] [-o OPTIONS] [--json]");
        add("deps [-o devno|devname|blkdevname] [DEVICE...]");
        add("wait DEVICE [EVENT]");
        add("mknodes [DEVICE...]");
        add("mangle [DEVICE...]");
        add("measure [DEVICE...]");
        add("setgeometry DEVICE CYLINDERS HEADS SECTORS START");
        add("splitname NAME [SUBSYSTEM]");
        add("targets | target-version TYPE... | version | udevflags COOKIE");
        add("help [-c]");
    }

    private void addCommandsBesides() {
        add("activate | deactivate [--eratab FILE] NAME... | --all")
                .description("make devices of eratab(5), if all is right with them, or take them away");
        add("checkpoint DEVICE").description("begin a new era, and print its number");
        add("freeze DEVICE... --cow DIR [--nolockfs] [--json]")
                .description("views DEVICE@ERA of an engine's devices as of one moment; print the names");
        add("thaw VIEW...").description("remove views, and what they have kept in DIR");
        add("monitor [--interval SECONDS] [--count TIMES] [--json] DEVICE")
                .description("show era, metadata and marked blocks as they change");
        add("rollback CACHE --since ERA [--dry-run] [--state DIR] -- COMMAND...")
                .description("roll back the volume beneath a cache, and keep what is still right in it");
        add("uri DEVICE").description("print where NBD clients find an engine's device");
        add("attach [--readahead [+]SECTORS] DEVICE").description("give an engine's device a node in /dev");
        add("detach DEVICE").description("take the node away again");
        add(
                        "engine [--state DIR] [--nbd [SOCKET,][tcp:HOST:PORT]]",
                        "       [--nbd-tls DIR [--nbd-tls-allow NAME]... | --nbd-plain] [--log-level LEVEL] [--detach]")
                .description("serve devices in userspace until a signal ends it; see era-engine(8)");
    }

    /** A command by the lines of its synopsis, which begin with its name. */
    private UsageMessageSpec add(String... synopsis) {
        CommandSpec command = CommandSpec.create();
        program.addSubcommand(synopsis[0].substring(0, synopsis[0].indexOf(' ')), command);
        return command.usageMessage().customSynopsis(synopsis);
    }

    private void addOptions() {
        add(
                Switch.CONTROL,
                "CHANNEL",
                "kernel, engine, or the path of an engine's socket; without it, $ERA_CONTROL;"
                        + " without that, the engine if one answers, else the kernel");
        add(Switch.MANGLENAME, "MODE", "how characters are written that a name in /dev can't have: auto, hex, none");
        add(Switch.COUNT, "TIMES", "do it again and again; all that only asks can be repeated");
        add(Switch.INTERVAL, "SECONDS", "so long after the last time [default: 1]");
        add(Switch.VERBOSE, null, "say which device-mapper was asked");
        add(Switch.HELP, null, "print this");
        add(Switch.VERSION, null, "print the version of the dmsetup that this stands in for, and the driver's");
    }

    private void add(Switch option, String value, String description) {
        String name = "--" + option.longName();
        OptionSpec.Builder builder =
                option.letter() == 0 ? OptionSpec.builder(name) : OptionSpec.builder("-" + option.letter(), name);
        builder.description(description);
        if (value == null) {
            builder.arity("0").type(boolean.class);
        } else {
            builder.arity("1").type(String.class).paramLabel(value);
        }
        program.addOption(builder.build());
    }

    private CommandSpec laidOut() {
        UsageMessageSpec usage = program.usageMessage()
                .width(HelpPages.WIDTH)
                .sortOptions(false)
                .customSynopsis("era-dmsetup [OPTIONS] COMMAND [ARGUMENTS]")
                .descriptionHeading("%n")
                .description("Mapped devices of the kernel, or of an engine in userspace, by dmsetup's commands:")
                .commandListHeading("")
                .optionListHeading("%nand with every command:%n%n")
                .footerHeading("%n")
                .footer(
                        "A DEVICE is a name, -u UUID, or -j MAJOR -m MINOR. A TABLE has a line for each target: start and"
                                + " length in sectors of 512 bytes, the target's type, its arguments. Without one it is read"
                                + " from standard input.",
                        "",
                        "See era-dmsetup(8).");
        usage.sectionMap().put(UsageMessageSpec.SECTION_KEY_COMMAND_LIST, UsagePage::commands);
        List<String> order = new ArrayList<>(usage.sectionKeys());
        order.remove(UsageMessageSpec.SECTION_KEY_COMMAND_LIST);
        order.add(
                order.indexOf(UsageMessageSpec.SECTION_KEY_DESCRIPTION) + 1, UsageMessageSpec.SECTION_KEY_COMMAND_LIST);
        usage.sectionKeys(order);
        return program;
    }

    private static String commands(Help help) {
        StringBuilder known = new StringBuilder();
        StringBuilder besides = new StringBuilder();
        for (Help subcommand : help.subcommands().values()) {
            UsageMessageSpec usage = subcommand.commandSpec().usageMessage();
            boolean described = usage.description().length > 0;
            StringBuilder list = described ? besides : known;
            String[] synopsis = usage.customSynopsis();
            for (int i = 0; i < synopsis.length; i++) {
                if (described && i == synopsis.length - 1) {
                    list.append(row(help, DESCRIPTIONS_AT, synopsis[i], usage.description()[0]));
                } else {
                    list.append(row(help, HelpPages.WIDTH, synopsis[i]));
                }
            }
        }
        return "\n" + known + "\nand besides:\n\n" + besides;
    }

    /** One line, or more if the first text does not fit into its column or the second into the rest. */
    private static TextTable row(Help help, int firstWidth, String... texts) {
        Column first = new Column(firstWidth, 2, Overflow.SPAN);
        Column rest = new Column(HelpPages.WIDTH - DESCRIPTIONS_AT, 0, Overflow.WRAP);
        TextTable row = texts.length == 1
                ? TextTable.forColumns(help.colorScheme(), first)
                : TextTable.forColumns(help.colorScheme(), first, rest);
        row.indentWrappedLines = 0;
        row.addRowValues(texts);
        return row;
    }
}
