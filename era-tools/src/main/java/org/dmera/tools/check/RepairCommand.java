// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.evidence.Damage;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.format.Severity;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.io.Progress;
import org.dmera.tools.io.ProgressDevice;

/** {@code era_repair}: builds sound metadata from what is left of damaged metadata. */
public final class RepairCommand implements Command {
    private static final long U32 = 0xFFFFFFFFL;

    @Override
    public Usage usage() {
        return hints(new Usage("era_repair", "Builds sound metadata from damaged metadata, on another device.")
                        .flag("quiet", 'q', "Print nothing; only the exit code speaks")
                        .required("input", 'i', "FILE", "The damaged metadata; it is only read")
                        .required("output", 'o', "FILE", "Where the new metadata goes: all that is there is lost")
                        .ofPeers(true))
                .footer("What can't be read counts as written: a block too many is reported rather than one too few.");
    }

    /** Declares the options for what can't be derived when the superblock is lost. */
    public static Usage hints(Usage usage) {
        return usage.option("block-size", 0, "SECTORS", "Size of an origin block, if the superblock is lost")
                .option("nr-blocks", 0, "BLOCKS", "How many blocks the origin has, if it can't be derived")
                .option("current-era", 0, "ERA", "The current era, if it can't be derived");
    }

    /** Refuses the options that {@link #hints(Usage)} declares where nothing is repaired. */
    public static void refuseHints(Arguments arguments) throws IOException {
        for (String hint : new String[] {"block-size", "nr-blocks", "current-era"}) {
            if (arguments.has(hint)) {
                throw new IOException("--" + hint + " says what a repair can't derive: it needs --repair");
            }
        }
    }

    /** The values of the options that {@link #hints(Usage)} declares. */
    public static SalvageHints hints(Arguments arguments) {
        long sectors = arguments.number("block-size", -1, 8, U32);
        if (sectors % 8 != 0 && sectors >= 0) {
            throw new Arguments.InvalidValueException(
                    "block-size", arguments.value("block-size"), "not a multiple of 8 sectors");
        }
        return new SalvageHints(
                sectors,
                arguments.number("nr-blocks", -1, 0, Integer.MAX_VALUE),
                arguments.number("current-era", -1, 0, U32));
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        return repair(Path.of(arguments.value("input")), Path.of(arguments.value("output")), hints(arguments), console);
    }

    /** Rebuilds {@code input} in {@code output} and reports what was lost; returns the exit code. */
    static int repair(Path input, Path output, SalvageHints hints, Console console) throws IOException {
        FileIdentity written = FileIdentity.ofExisting(output);
        FileIdentity read = FileIdentity.ofExisting(input);
        if (written != null && read != null && written.overlaps(read)) {
            throw new IOException("input and output are the same: the damaged metadata is only read, it can't be"
                    + " repaired in place (era_check --auto-repair mends the space map in place)");
        }
        // How often which block is read depends on the damage, so nobody knows how many reads there will be.
        Progress progress = new Progress(console, "era_repair", " blocks", 1, -1);
        try (BlockDevice from = new ProgressDevice(MetadataInput.open(input, false), progress)) {
            MetadataRoots.requireBinary(from);
            Salvage salvage = Salvage.open(from, hints);
            try (BlockDevice to = DeviceOpener.open(output, true, DeviceOpener.Claim.EXCLUSIVE)) {
                build(salvage, to);
            }
            progress.close();
            for (String line : report(salvage)) {
                console.print(line);
            }
        }
        return 0;
    }

    private static void build(Salvage salvage, BlockDevice to) throws IOException {
        MetadataBuilder builder = new MetadataBuilder(to);
        boolean done = false;
        try {
            salvage.stream(builder);
            done = true;
        } finally {
            if (!done) {
                builder.abandon();
            }
        }
    }

    /** What was damaged, and what became of it; complete when the salvage has been streamed. */
    public static List<String> report(Salvage salvage) {
        List<String> lines = new ArrayList<>();
        for (Damage damage : salvage.damages()) {
            if (damage.severity() != Severity.NOTE) {
                lines.add(damage.toString());
            }
        }
        lines.addAll(salvage.remarks());
        return lines;
    }
}
