// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.EraToken;
import org.dmera.tools.backup.apply.StreamMerge;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.io.Overwriting;

/** {@code era_copy}: a full copy or an increment of an origin as a stream; or several streams merged into one. */
public final class CopyCommand implements Command {
    private static final long MAX_ERA = 0xFFFFFFFFL;

    @Override
    public Usage usage() {
        Usage usage = new Usage("era_copy", "Copies what changed on an era device's origin into a stream.")
                .option("since", 0, "ERA", "Copy the blocks written in this era or later; or since the one of a token")
                .option("after", 0, "STREAM", "Copy what changed since this stream was made")
                .flag("full", 0, "Copy everything")
                .option("metadata", 'm', "DEV", "The era device's metadata")
                .flag("metadata-snapshot", 0, "Use the metadata snapshot that is held: for a device in use")
                .option("output", 'o', "FILE", "Where the stream goes; - is standard output, and the default");
        return CopyOptions.declare(usage)
                .option("base-size", 0, "BYTES", "The origin's size when the base was taken, if it grew since")
                .option("identity", 0, "TEXT", "Names the metadata instead of what the device says of itself")
                .flag("merge", 0, "Merge the streams that are given, oldest first, into one")
                .flag("quiet", 'q', "Say nothing")
                .operands("ORIGIN", true, "The origin device; with --merge, the streams")
                .footer("""
                        Examples:
                          era_copy --full --metadata-snapshot -m /dev/vg/meta /dev/vg/data -o full.erastream
                          era_copy --after full.erastream --metadata-snapshot -m /dev/vg/meta /dev/vg/data -o mon.erastream
                          era_copy --merge full.erastream mon.erastream -o new-full.erastream""");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        if (arguments.has("merge")) {
            for (String other : new String[] {
                "full", "since", "after", "metadata", "metadata-snapshot", "base-size", "identity", "bwlimit", "readers"
            }) {
                if (arguments.has(other)) {
                    throw new IOException(
                            "--merge makes one stream of others: --" + other + " has no meaning beside it");
                }
            }
            return merge(arguments, console);
        }
        int modes =
                (arguments.has("since") ? 1 : 0) + (arguments.has("after") ? 1 : 0) + (arguments.has("full") ? 1 : 0);
        if (modes != 1) {
            throw new IOException("one of --full, --since ERA and --after STREAM says what to copy; "
                    + (modes == 0 ? "none is given" : "only one can be given"));
        }
        if (!arguments.has("metadata")) {
            throw new IOException("--metadata DEV is needed: it says what changed, and as of which era the copy is");
        }
        if (arguments.has("base-size") && !arguments.has("since")) {
            throw new IOException(
                    "--base-size is for --since ERA: a full copy has no base, and a stream knows its size");
        }
        if (arguments.operands().size() > 1) {
            throw new IOException("one origin can be copied at a time, "
                    + arguments.operands().size() + " are given (several streams need --merge)");
        }
        return copy(arguments, console, CopyOptions.of(arguments));
    }

    private static int copy(Arguments arguments, Console console, CopyEngine.Options options) throws IOException {
        Path metadataPath = Path.of(arguments.value("metadata"));
        Path originPath = Path.of(arguments.operand(0));
        String output = arguments.value("output", "-");
        List<String> inputs = List.of(arguments.operand(0), arguments.value("metadata"), arguments.value("after", "-"));
        Overwriting.refuse(output, inputs);
        try (MetadataView metadata = new MetadataView(metadataPath, arguments.has("metadata-snapshot"));
                OriginReader origin = OriginReader.open(originPath)) {
            long sizeBytes = metadata.trackedBytes(originPath, origin.sizeBytes());
            String identity = MetadataView.identity(arguments.value("identity"), metadataPath);
            Base base = base(arguments, console, sizeBytes);
            CopyPlan plan = CopyPlan.of(metadata, sizeBytes, base, identity);
            try (StreamDestination out = StreamDestination.open(output, inputs, console)) {
                StreamFooter footer = plan.run(origin, out.channel(), options, console.quiet());
                out.commit();
                report(arguments, console, plan.header(), footer);
            }
        }
        return 0;
    }

    private static Base base(Arguments arguments, Console console, long sizeBytes) throws IOException {
        if (arguments.has("full")) {
            return Base.NOTHING;
        }
        if (arguments.has("since")) {
            long baseSize = CopyOptions.bytes(arguments, "base-size", sizeBytes);
            String since = arguments.value("since");
            EraToken token = EraToken.isMeant(since) ? EraToken.parse(since) : null;
            long era = token != null ? token.era() : arguments.number("since", 0, 0, MAX_ERA);
            return new Base(era, baseSize, 0, null, 0, token);
        }
        try (StreamReader before = StreamReader.open(arguments.value("after"), console.input())) {
            before.requireComplete();
            return Base.after(before.header(), before.name());
        }
    }

    private static int merge(Arguments arguments, Console console) throws IOException {
        String output = arguments.value("output", "-");
        Overwriting.refuse(output, arguments.operands());
        List<StreamReader> streams = new ArrayList<>();
        try {
            for (String path : arguments.operands()) {
                StreamReader stream = StreamReader.open(path, console.input());
                streams.add(stream);
                stream.requireComplete();
            }
            StreamHeader header = StreamMerge.header(streams, CopyPlan.newStreamId());
            try (StreamDestination out = StreamDestination.open(output, arguments.operands(), console);
                    TransferProgress progress = new TransferProgress("era_copy", -1, console.quiet())) {
                StreamFooter footer =
                        StreamMerge.merge(streams, header, out.channel(), CopyOptions.zstdLevel(arguments), progress);
                out.commit();
                report(arguments, console, header, footer);
            }
        } finally {
            for (StreamReader stream : streams) {
                stream.close();
            }
        }
        return 0;
    }

    private static void report(Arguments arguments, Console console, StreamHeader header, StreamFooter footer)
            throws IOException {
        if (!arguments.value("output", "-").equals("-")) {
            console.print(arguments.value("output") + ": " + StreamText.of(header, footer));
        }
    }
}
