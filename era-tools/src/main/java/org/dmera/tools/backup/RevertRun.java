// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.content.BlockSet;
import org.dmera.core.linux.DeviceNumber;
import org.dmera.tools.backup.apply.Target;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.revert.Revert;
import org.dmera.tools.backup.revert.WrittenSince;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Console;
import org.dmera.tools.io.Overwriting;

/** {@code era_apply --changed-since}: takes an origin back to the state of the streams. */
final class RevertRun {
    private static final long MAX_ERA = 0xFFFFFFFFL;
    private static final long CACHE_BYTES = 32L << 20;

    private RevertRun() {}

    /** Refuses its options where it is not asked for, and those that mean nothing beside it. */
    static boolean isAskedFor(Arguments arguments) throws IOException {
        if (!arguments.has("changed-since")) {
            for (String option : new String[] {"metadata", "metadata-snapshot", "identity", "compare"}) {
                if (arguments.has(option)) {
                    throw new IOException("--" + option + " is for --changed-since ERA, which is not given");
                }
            }
            return false;
        }
        for (String option : new String[] {"verify", "force", "state"}) {
            if (arguments.has(option)) {
                throw new IOException(
                        "--changed-since writes blocks of the streams to the origin that they come from: --" + option
                                + " has no meaning beside it");
            }
        }
        if (!arguments.has("metadata")) {
            throw new IOException(
                    "--metadata DEV is needed: it says what changed since era " + arguments.value("changed-since"));
        }
        return true;
    }

    static int run(Arguments arguments, Console console) throws IOException {
        long era = arguments.number("changed-since", 0, 0, MAX_ERA);
        Path metadata = Path.of(arguments.value("metadata"));
        Path target = Path.of(arguments.value("output"));
        boolean live = arguments.has("metadata-snapshot");
        boolean dry = arguments.has("dry-run");
        List<String> inputs = new ArrayList<>(arguments.operands());
        inputs.add(arguments.value("metadata"));
        Overwriting.refuse(arguments.value("output"), inputs);
        if (!Files.exists(target)) {
            throw new IOException("Couldn't find output file " + target
                    + ": --changed-since writes to the origin that the streams come from");
        }
        if (live) {
            requireDeviceOf(target, metadata);
        }
        List<Path> paths = arguments.operands().stream().map(Path::of).toList();
        try (StreamImage image = StreamImage.open(paths, CACHE_BYTES, line -> console.error("warning: " + line));
                WrittenSince written = new WrittenSince(metadata, live, !dry, era)) {
            int last = image.states() - 1;
            written.requireFit(image.header(last), image.name(last), arguments.value("identity"));
            // The target is closed first: to close another channel of a file gives up the claim on it.
            try (OriginReader origin = OriginReader.open(target);
                    Target to = dry ? null : Target.open(target)) {
                Revert revert = new Revert(image, origin, written.blockSizeBytes(), !live);
                BlockSet since = written.blocks();
                revert.requireSameElsewhere(since);
                BlockSet blocks = toWrite(revert, since, arguments, console);
                String amount = ByteCount.text(revert.bytes(blocks)) + " in " + blocks.count() + " blocks"
                        + (arguments.has("compare")
                                ? " of the " + ByteCount.text(revert.bytes(since)) + " written since"
                                : "");
                if (dry) {
                    console.print(target + ": would be taken back to before era " + era + ", by writing " + amount);
                    return 0;
                }
                if (!live && blocks.count() > 0) {
                    written.mark(blocks);
                }
                write(revert, blocks, to, target, console);
                console.print(target + ": taken back to before era " + era + ", and verified: wrote " + amount);
            }
        }
        return 0;
    }

    /** What is going to be written; all of it can be read from the streams. */
    private static BlockSet toWrite(Revert revert, BlockSet since, Arguments arguments, Console console)
            throws IOException {
        try (TransferProgress progress = new TransferProgress("era_apply", revert.bytes(since), console.quiet())) {
            if (arguments.has("compare")) {
                return revert.differing(since, progress);
            }
            revert.requireReadable(since, progress);
            return since;
        }
    }

    private static void write(Revert revert, BlockSet blocks, Target to, Path target, Console console)
            throws IOException {
        BlockSet wrong;
        try (TransferProgress progress = new TransferProgress("era_apply", 2 * revert.bytes(blocks), console.quiet())) {
            revert.write(blocks, to, progress);
            wrong = revert.differing(blocks, progress);
        }
        if (wrong.count() > 0) {
            throw new IOException(target + ": " + wrong.count() + " of " + blocks.count()
                    + " blocks don't hold what was just written to them: somebody else writes to it, or it fails");
        }
    }

    /**
     * A device in use is taken back through itself, which marks what is written. A device of device-mapper tells what it lies
     * on; of another, as an engine's node is, nothing can be told.
     */
    private static void requireDeviceOf(Path target, Path metadata) throws IOException {
        if (!DeviceOpener.isBlockDevice(target)) {
            throw new IOException(
                    target + " is not a block device: with --metadata-snapshot the era device is in use, and"
                            + " is written to by its own node, so that it marks what is written");
        }
        Path sys = DeviceNumber.sysfs(target);
        if (!DeviceOpener.isBlockDevice(metadata) || !Files.isDirectory(sys.resolve("dm"))) {
            return;
        }
        Path name = DeviceNumber.sysfs(metadata).toRealPath().getFileName();
        if (!Files.exists(sys.resolve("slaves").resolve(name))) {
            throw new IOException(
                    target + " does not lie on " + metadata + ": with --metadata-snapshot the target is the era"
                            + " device itself, so that it marks what is written");
        }
    }
}
