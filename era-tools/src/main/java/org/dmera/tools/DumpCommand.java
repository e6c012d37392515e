// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.LastWritten;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.content.WritesetFold;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.tools.check.RepairCommand;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.input.MetadataInput;
import org.dmera.tools.io.OutputFile;
import org.dmera.tools.io.OutputPipe;
import org.dmera.tools.io.Progress;
import org.dmera.tools.io.ProgressDevice;
import org.dmera.tools.json.MetadataJsonWriter;
import org.dmera.tools.xml.MetadataXmlWriter;

/** {@code era_dump}: metadata as text. */
final class DumpCommand implements Command {
    @Override
    public Usage usage() {
        Usage usage = new Usage("era_dump", "Dump the era metadata to standard output, in XML format")
                .flag("compact", 0, "Name only the set bits of writesets, as runs")
                .choice("format", 0, "FORMAT", "The form of the dump: xml or json", "xml", "json")
                .flag("logical", 0, "Fold any unprocessed write sets into the final era array")
                .flag("metadata-snapshot", 0, "Dump the held metadata snapshot; the device may be in use")
                .option("output", 'o', "FILE", "Specify the output file rather than stdout")
                .flag("repair", 'r', "Dump what can be read of damaged metadata; what can't counts as written")
                .ofPeers(false)
                .operand("INPUT", "Specify the input device to dump");
        return RepairCommand.hints(usage);
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        Path input = Path.of(arguments.operand(0));
        boolean snapshot = arguments.has("metadata-snapshot");
        SalvageHints hints = RepairCommand.hints(arguments);
        if (arguments.has("repair")) {
            if (snapshot) {
                throw new IOException("--repair can't be combined with --metadata-snapshot");
            }
            return repair(input, hints, arguments, console);
        }
        RepairCommand.refuseHints(arguments);
        try (BlockDevice device = MetadataInput.open(input, snapshot)) {
            MetadataRoots roots = snapshot ? MetadataRoots.readSnapshot(device) : MetadataRoots.read(device);
            try (OutputFile file = OutputFile.open(arguments.value("output"), List.of(arguments.operand(0)), console);
                    OutputPipe pipe = new OutputPipe(file.longChannel());
                    Progress progress = new Progress(console, "era_dump", " blocks", 1, roots.allocatedBlocks())) {
                BlockDevice counted = new ProgressDevice(device, progress);
                MetadataVisitor writer = writer(arguments, pipe);
                if (arguments.has("logical")) {
                    LastWritten.stream(counted, roots, writer);
                } else {
                    MetadataScanner.scan(counted, roots, writer);
                }
                pipe.finish();
                file.commit();
            }
        }
        return 0;
    }

    private static MetadataVisitor writer(Arguments arguments, OutputPipe pipe) throws IOException {
        return arguments.value("format", "xml").equals("json")
                ? new MetadataJsonWriter(pipe)
                : new MetadataXmlWriter(pipe, arguments.has("compact"));
    }

    /** The dump of what era_repair would build; what was lost is reported on standard error. */
    private static int repair(Path input, SalvageHints hints, Arguments arguments, Console console) throws IOException {
        try (BlockDevice device = MetadataInput.open(input, false)) {
            MetadataRoots.requireBinary(device);
            Salvage salvage = Salvage.open(device, hints);
            try (OutputFile file = OutputFile.open(arguments.value("output"), List.of(arguments.operand(0)), console);
                    OutputPipe pipe = new OutputPipe(file.longChannel())) {
                MetadataVisitor writer = writer(arguments, pipe);
                salvage.stream(arguments.has("logical") ? new WritesetFold(writer) : writer);
                pipe.finish();
                file.commit();
            }
            for (String line : RepairCommand.report(salvage)) {
                console.error(line);
            }
        }
        return 0;
    }
}
