// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.tools.backup.apply.Applier;
import org.dmera.tools.backup.apply.Chain;
import org.dmera.tools.backup.apply.Verifier;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamReader;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.io.Overwriting;

/** {@code era_apply}: puts a chain of streams onto a target, or checks one against the other. */
public final class ApplyCommand implements Command {
    /** Differences that are listed one by one. */
    private static final int LISTED = 20;

    @Override
    public Usage usage() {
        return new Usage("era_apply", "Applies streams of era_copy to a file or device.")
                .required("output", 'o', "FILE", "The target; a file is created when it is not there")
                .flag("dry-run", 'n', "Read and verify the streams, say what would be done, write nothing")
                .flag("verify", 0, "Compare the target with the streams, write nothing")
                .flag("force", 'f', "Apply the streams whatever the target holds")
                .option("state", 0, "FILE", "Where the target's state is kept [default: FILE.erastate]")
                .option("changed-since", 0, "ERA", "Take the origin itself back: write what changed since this era")
                .option("metadata", 'm', "DEV", "With --changed-since: the era device's metadata")
                .flag("metadata-snapshot", 0, "Use the metadata snapshot that is held: for a device in use")
                .option("identity", 0, "TEXT", "Names the metadata instead of what the device says of itself")
                .flag("compare", 0, "With --changed-since: leave out what is right already")
                .flag("quiet", 'q', "Say nothing")
                .operands("STREAM", true, "The streams, oldest first; - is standard input")
                .footer("""
                        An interrupted era_apply is resumed by running it again.

                        Examples:
                          era_apply full.erastream monday.erastream -o /backup/data.img
                          era_copy ... | ssh host era_apply - -o /backup/data.img
                          era_apply full.erastream --changed-since 7 -m /dev/vg/meta -o /dev/vg/data""");
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        requireSensible(arguments);
        Path target = Path.of(arguments.value("output"));
        Path stateFile = arguments.has("state") ? Path.of(arguments.value("state")) : null;
        if (RevertRun.isAskedFor(arguments)) {
            return RevertRun.run(arguments, console);
        }
        if (arguments.operands().size() > 1 && arguments.operands().contains("-")) {
            throw new IOException("standard input can be the only stream, not one of several");
        }
        if (!arguments.has("verify") && !arguments.has("dry-run")) {
            Overwriting.refuse(arguments.value("output"), arguments.operands());
            List<String> others = new ArrayList<>(arguments.operands());
            others.add(arguments.value("output"));
            Overwriting.refuse(Applier.stateFileOf(target, stateFile).toString(), others);
        }
        List<StreamReader> streams = new ArrayList<>();
        try {
            long total = 0;
            for (String path : arguments.operands()) {
                StreamReader stream = StreamReader.open(path, console.input());
                streams.add(stream);
                total += stream.header().isFull() ? stream.header().originSizeBytes() : 0;
            }
            Chain.requireOneOrigin(streams);
            if (arguments.has("verify")) {
                return verify(streams, target, console);
            }
            if (arguments.has("dry-run")) {
                return dryRun(streams, target, stateFile, arguments.has("force"), console);
            }
            long expected = streams.stream().allMatch(s -> s.header().isFull()) ? total : -1;
            try (Applier applier = new Applier(target, stateFile);
                    TransferProgress progress = new TransferProgress("era_apply", expected, console.quiet())) {
                for (Applier.Outcome o : applier.apply(streams, arguments.has("force"), progress)) {
                    console.print(o.stream().name() + ": "
                            + (o.footer() == null
                                    ? skipped(streams, o.stream())
                                    : "applied, " + StreamText.of(o.stream().header(), o.footer())
                                            + (o.resumedAtChunk() > 0
                                                    ? " (resumed at chunk " + o.resumedAtChunk() + ")"
                                                    : "")));
                }
            }
        } finally {
            for (StreamReader stream : streams) {
                stream.close();
            }
        }
        return 0;
    }

    /** Options that would change nothing beside the others are a misunderstanding, and refused as one. */
    private static void requireSensible(Arguments arguments) throws IOException {
        if (!arguments.has("verify")) {
            return;
        }
        if (arguments.has("dry-run")) {
            throw new IOException("--verify and --dry-run exclude each other: neither writes anything");
        }
        for (String option : new String[] {"force", "state"}) {
            if (arguments.has(option)) {
                throw new IOException(
                        "--" + option + " has no meaning with --verify, which compares and applies nothing");
            }
        }
    }

    private static String skipped(List<StreamReader> streams, StreamReader stream) {
        for (StreamReader later : streams.subList(streams.indexOf(stream) + 1, streams.size())) {
            if (later.header().isFull()) {
                return "not needed, because a full stream follows";
            }
        }
        return "was applied before";
    }

    private static int dryRun(List<StreamReader> streams, Path target, Path stateFile, boolean force, Console console)
            throws IOException {
        int first = Applier.wouldBeginAt(streams, target, stateFile, force);
        try (TransferProgress progress = new TransferProgress("era_apply", -1, console.quiet())) {
            for (int i = 0; i < streams.size(); i++) {
                StreamReader stream = streams.get(i);
                StreamFooter footer = StreamCheck.requireSound(stream, progress);
                console.print(stream.name() + ": sound, "
                        + (i < first ? skipped(streams, stream) + ", " : "would be applied, ")
                        + StreamText.of(stream.header(), footer));
            }
        }
        return 0;
    }

    private static int verify(List<StreamReader> streams, Path target, Console console) throws IOException {
        long[] differing = new long[2];
        long compared;
        try (TransferProgress progress = new TransferProgress("era_apply", -1, console.quiet())) {
            compared = Verifier.compare(
                    streams,
                    target,
                    (offset, length) -> {
                        if (differing[0]++ < LISTED) {
                            console.print(target + ": differs within the " + length + " bytes at " + offset);
                        }
                        differing[1] += length;
                    },
                    progress);
        }
        if (differing[0] == 0) {
            console.print(target + ": holds what the streams hold; compared " + ByteCount.text(compared));
            return 0;
        }
        console.error(target + ": " + differing[0] + " ranges with " + ByteCount.text(differing[1])
                + " in all differ from the streams");
        return 1;
    }
}
