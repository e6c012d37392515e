// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.Map;
import org.dmera.tools.cli.HelpPages;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * Makes the text that {@link Usage} prints, of which picocli lays the options out. The build runs it; neither this class nor
 * picocli is part of what is installed.
 */
final class UsagePage {
    /** dmsetup's as their synopses, for whoever comes here knows them, and ours with what they do. */
    private static final String COMMANDS = """

              create NAME [-u UUID] [-j MAJOR -m MINOR] [-r] [-n | --table TABLE | FILE] [--attach]
                     [--enroll [--eratab FILE]]
              create --concise [SPECIFICATIONS]
              load | reload DEVICE [--table TABLE | FILE]
              clear DEVICE...
              suspend [--noflush] [--nolockfs] DEVICE...
              resume [--noflush] [--nolockfs] DEVICE...
              remove [-f] [--retry] [--deferred] DEVICE...
              remove_all [-f] [--deferred]
              rename DEVICE [--setuuid] NAME_OR_UUID
              wipe_table DEVICE...
              message DEVICE SECTOR MESSAGE
              status [--target TYPE] [--noflush] [--inactive] [--json] [DEVICE...]
              table [--target TYPE] [--inactive] [--showkeys] [--concise | --json] [DEVICE...]
              info [-c [-o FIELDS] [-O FIELDS] [--noheadings | --headings none|abbrev|full]
                       [--separator TEXT] [--rows] [--unbuffered]
                       [--nameprefixes [--unquoted]] [--count TIMES] [--interval SECONDS]]
                       [--json] [DEVICE...]
              ls [--target TYPE] [--exec COMMAND] [--tree] [-o OPTIONS] [--json]
              deps [-o devno|devname|blkdevname] [DEVICE...]
              wait DEVICE [EVENT]
              mknodes [DEVICE...]
              mangle [DEVICE...]
              measure [DEVICE...]
              setgeometry DEVICE CYLINDERS HEADS SECTORS START
              splitname NAME [SUBSYSTEM]
              targets | target-version TYPE... | version | udevflags COOKIE
              help [-c]

            and besides:

              activate | deactivate [--eratab FILE] NAME... | --all
                                     make devices of eratab(5), if all is right with them, or take them away
              checkpoint DEVICE      begin a new era, and print its number
              freeze DEVICE... --cow DIR [--nolockfs] [--json]
                                     views DEVICE@ERA of an engine's devices as of one moment; print the names
              thaw VIEW...           remove views, and what they have kept in DIR
              monitor [--interval SECONDS] [--count TIMES] [--json] DEVICE
                                     show era, metadata and marked blocks as they change
              rollback CACHE --since ERA [--dry-run] [--state DIR] -- COMMAND...
                                     roll back the volume beneath a cache, and keep what is still right in it
              uri DEVICE             print where NBD clients find an engine's device
              attach [--readahead [+]SECTORS] DEVICE
                                     give an engine's device a node in /dev
              detach DEVICE          take the node away again
              engine [--state DIR] [--nbd [SOCKET,][tcp:HOST:PORT]]
                     [--nbd-tls DIR [--nbd-tls-allow NAME]... | --nbd-plain] [--log-level LEVEL] [--detach]
                                     serve devices in userspace until a signal ends it; see era-engine(8)

            and with every command:

            """;

    private final CommandSpec program = CommandSpec.create().name("era-dmsetup");

    private UsagePage() {}

    /** Writes the text; {@code args} is the folder of the compiled classes. */
    public static void main(String[] args) throws IOException {
        HelpPages.write(args[0], UsagePage.class, Map.of(Usage.FILE, text()));
    }

    static String text() {
        UsagePage page = new UsagePage();
        page.addOptions();
        return HelpPages.render(page.laidOut());
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
                .footerHeading("%n")
                .footer(
                        "A DEVICE is a name, -u UUID, or -j MAJOR -m MINOR. A TABLE has a line for each target: start and"
                                + " length in sectors of 512 bytes, the target's type, its arguments. Without one it is read"
                                + " from standard input.",
                        "",
                        "See era-dmsetup(8).");
        usage.sectionMap().put(UsageMessageSpec.SECTION_KEY_OPTION_LIST_HEADING, help -> COMMANDS);
        return program;
    }
}
