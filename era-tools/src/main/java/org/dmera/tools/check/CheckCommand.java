// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import java.io.IOException;
import java.nio.file.Path;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.CheckOptions;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.Structure;
import org.dmera.core.format.Severity;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.input.ReaderThreads;
import org.dmera.tools.io.Progress;

/** {@code era_check}: is this metadata sound, and if not, what is wrong with it? */
public final class CheckCommand implements Command {
    private static final String SUPERBLOCK_ONLY = "super-block-only";
    private static final String SNAPSHOT = "metadata-snapshot";
    private static final String IGNORE = "ignore-non-fatal-errors";
    private static final String AUTO_REPAIR = "auto-repair";
    private static final String REPAIR_TO = "repair-to";
    private static final String FORMAT = "format";

    @Override
    public Usage usage() {
        return new Usage("era_check", "Checks the metadata of an era device, reference counts and snapshot included.")
                .flag("quiet", 'q', "Print nothing; only the exit code speaks")
                .flag(SUPERBLOCK_ONLY, 0, "Look at the superblock alone")
                .flag(SNAPSHOT, 0, "Check only the held metadata snapshot; the device may be in use")
                .flag(IGNORE, 0, "Report and fail for fatal damage only")
                .flag(AUTO_REPAIR, 0, "Mend wrong reference counts, leaks and other figures of the space map in place")
                .option(REPAIR_TO, 0, "FILE", "If there is damage, build sound metadata in FILE, as era_repair does")
                .choice(FORMAT, 0, "FORMAT", "How to report: text (the default) or json", "text", "json")
                .ofPeers(true)
                .operand("INPUT", "The metadata device, or a file that holds its bytes");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        requireSensible(arguments);
        Path input = Path.of(arguments.operand(0));
        boolean json = "json".equals(arguments.value(FORMAT));
        boolean repair = arguments.has(AUTO_REPAIR);
        boolean fatalOnly = arguments.has(IGNORE);
        CheckReport report;
        try (BlockDevice device = MetadataInput.open(input, repair, arguments.has(SNAPSHOT));
                Progress progress = new Progress(console, "era_check", " blocks", 1, device.sizeBlocks())) {
            CheckOptions options = CheckOptions.of(scope(arguments))
                    .withThreads(ReaderThreads.count(), new ReaderThreads())
                    .withProgress(showOn(progress));
            MetadataRoots.requireBinary(device);
            report = MetadataChecker.check(device, options);
            if (repair && report.isBeyondAutoRepair()) {
                console.error("--" + AUTO_REPAIR + ": nothing was changed, because there is damage that only era_repair"
                        + " can mend: era_repair -i " + input + " -o <NEW DEVICE>");
            } else if (repair && SpaceMapRepair.isNeeded(report)) {
                SpaceMapRepair.repair(device, report);
                if (!json) {
                    new TextReport(console, fatalOnly).repaired(report);
                }
                report = MetadataChecker.check(device, options);
            }
        }
        if (json) {
            JsonReport.print(console, report, input.toString());
        } else {
            if (isAboutSuperblockAlone(report)) {
                console.error(report.damages().get(0).detail());
            } else {
                new TextReport(console, fatalOnly).print(report, input.toString());
            }
        }
        boolean fails = report.count(Severity.FATAL) > 0 || !fatalOnly && report.count(Severity.NON_FATAL) > 0;
        if (fails && arguments.has(REPAIR_TO)) {
            return RepairCommand.repair(input, Path.of(arguments.value(REPAIR_TO)), SalvageHints.NONE, console);
        }
        return fails ? 1 : 0;
    }

    private static void requireSensible(Arguments arguments) throws IOException {
        if (arguments.has(SUPERBLOCK_ONLY) && arguments.has(SNAPSHOT)) {
            throw new IOException("--" + SUPERBLOCK_ONLY + " and --" + SNAPSHOT + " exclude each other");
        }
        for (String repair : new String[] {AUTO_REPAIR, REPAIR_TO}) {
            for (String part : new String[] {SUPERBLOCK_ONLY, SNAPSHOT}) {
                if (arguments.has(repair) && arguments.has(part)) {
                    throw new IOException("--" + repair + " needs the whole device to be checked: leave out --" + part);
                }
            }
        }
        if (arguments.has(AUTO_REPAIR) && arguments.has(REPAIR_TO)) {
            throw new IOException("--" + AUTO_REPAIR + " and --" + REPAIR_TO + " exclude each other");
        }
    }

    /** No lambda: linking the first one of a process costs more than checking a small device does. */
    private static CheckOptions.Progress showOn(Progress progress) {
        return new CheckOptions.Progress() {
            @Override
            public void advanced(long blocks) {
                progress.add(blocks);
            }
        };
    }

    private static CheckOptions.Scope scope(Arguments arguments) {
        if (arguments.has(SUPERBLOCK_ONLY)) {
            return CheckOptions.Scope.SUPERBLOCK;
        }
        return arguments.has(SNAPSHOT) ? CheckOptions.Scope.SNAPSHOT : CheckOptions.Scope.ALL;
    }

    /** Nothing but the superblock could be looked at: then the one line belongs on standard error. */
    private static boolean isAboutSuperblockAlone(CheckReport report) {
        if (report.damages().size() != 1) {
            return false;
        }
        Damage damage = report.damages().get(0);
        return damage.severity() == Severity.FATAL
                && (damage.structure() == Structure.SUPERBLOCK || damage.blockNr() == Damage.NO_BLOCK);
    }
}
