// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import org.dmera.core.file.FileClaim;
import org.dmera.core.file.Folders;
import org.dmera.core.file.LongNames;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.EraStatus;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.CopyOptions;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.io.Overwriting;

/** {@code era_backup}: the whole cycle of a backup on a running era device. */
public final class BackupCommand implements Command {
    /** EX_TEMPFAIL of sysexits.h: nothing is wrong, but not now. */
    private static final int TRY_AGAIN_LATER = 75;

    private static final double NANOS_PER_SECOND = 1e9;

    @Override
    public Usage usage() {
        return BackupUsage.usage();
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        refuseWhatMeansNothing(arguments);
        requireOneDeviceFor(arguments);
        if (arguments.has("list") || arguments.has("verify")) {
            return look(arguments, console);
        }
        long began = System.nanoTime();
        try (SignalHook signals = new SignalHook()) {
            try {
                backUp(arguments, console, signals);
            } catch (Backup.BusyException e) {
                console.error(e.getMessage());
                return TRY_AGAIN_LATER;
            } catch (IOException | RuntimeException e) {
                Failures.after(e, () -> writeMetrics(arguments, false, began, console));
                throw e;
            }
            writeMetrics(arguments, true, began, console);
            return 0;
        }
    }

    private static void refuseWhatMeansNothing(Arguments arguments) throws IOException {
        boolean looks = arguments.has("list") || arguments.has("verify");
        if (arguments.has("list") && arguments.has("verify")) {
            throw new IOException("--list and --verify: one of them can be given");
        }
        if (arguments.has("json") && !arguments.has("list")) {
            throw new IOException("--json is for --list");
        }
        for (String option : new String[] {
            "full", "full-every", "max-changed", "keep", "metrics", "cow", "no-freeze", "origin-snapshot-cmd"
        }) {
            if (looks && arguments.has(option)) {
                throw new IOException(
                        "--list and --verify make no backup: --" + option + " has no meaning beside them");
            }
        }
    }

    private static void backUp(Arguments arguments, Console console, SignalHook signals) throws IOException {
        int keep = (int) arguments.number("keep", -1, 0, Integer.MAX_VALUE);
        // What was opened is closed in the opposite order, each whatever becomes of the others.
        try (Opened opened = new Opened()) {
            List<Run> runs = new ArrayList<>();
            List<IOException> failures = new ArrayList<>();
            for (String name : arguments.operands()) {
                attempt(failures, () -> runs.add(prepare(arguments, name, console, opened)));
            }
            if (!runs.isEmpty()) {
                for (Run run : run(runs, group(arguments, runs), failures, console, signals)) {
                    if (keep >= 0) {
                        attempt(failures, () -> keep(run, keep, console));
                    }
                }
            }
            throwWorst(failures, console);
        }
    }

    /** Does {@code step}; how it fails is told when the other devices have had their turn. */
    private static boolean attempt(List<IOException> failures, Failures.Step step) {
        try {
            step.run();
            return true;
        } catch (IOException e) {
            // What failed for all of them is told once.
            if (!failures.contains(e)) {
                failures.add(e);
            }
            return false;
        }
    }

    /** Tells all, and throws what decides on the exit status: "try again later" is for when that is all there is. */
    private static void throwWorst(List<IOException> failures, Console console) throws IOException {
        IOException worst = null;
        for (IOException e : failures) {
            if (worst == null || worst instanceof Backup.BusyException && !(e instanceof Backup.BusyException)) {
                worst = e;
            }
        }
        for (IOException e : failures) {
            if (e != worst) {
                console.error(e.getMessage());
            }
        }
        if (worst != null) {
            throw worst;
        }
    }

    /** The views that the devices are read through; null when they are read as they are. */
    private static FrozenGroup group(Arguments arguments, List<Run> runs) throws IOException {
        MappedEraDevice first = runs.get(0).device;
        if (!isFrozen(arguments, first.client())) {
            if (arguments.operands().size() > 1) {
                throw new IOException(
                        "several devices are backed up together as views of one moment, which only an engine"
                                + " has: say one device here, or leave out --no-freeze");
            }
            if (arguments.has("cow")) {
                throw new IOException("--cow is for views: it has no effect with the kernel's devices, --no-freeze,"
                        + " --origin and --origin-snapshot-cmd");
            }
            return null;
        }
        Path cow = folder(arguments, arguments.has("cow") ? "cow" : "to");
        Folders.make(cow);
        FrozenGroup group = new FrozenGroup(first.client(), cow);
        for (Run run : runs) {
            group.add(run.device, run.options.stateFile());
        }
        return group;
    }

    /** What one device's backup needs, its state locked. */
    private record Run(MappedEraDevice device, OriginHook hook, Backup.Options options) {}

    /** What is to be closed in the end. */
    private static final class Opened implements Closeable {
        private final Deque<Closeable> all = new ArrayDeque<>();

        <T extends Closeable> T add(T closeable) {
            all.push(closeable);
            return closeable;
        }

        @Override
        public void close() throws IOException {
            Failures failures = new Failures();
            all.forEach(each -> failures.run(each::close));
            failures.throwFirst();
        }
    }

    private static void requireOneDeviceFor(Arguments arguments) throws IOException {
        int count = arguments.operands().size();
        if (count == 1) {
            return;
        }
        for (String option : new String[] {
            "list", "verify", "metrics", "state", "metadata", "origin", "identity", "origin-snapshot-cmd"
        }) {
            if (arguments.has(option)) {
                throw new IOException("--" + option + " is about one device; expected one, not " + count);
            }
        }
        if (new HashSet<>(arguments.operands()).size() < count) {
            throw new IOException("a device is named twice");
        }
    }

    /** A view is what an engine's device is read through, unless it is said otherwise what to read. */
    private static boolean isFrozen(Arguments arguments, DmClient client) {
        return !client.control().isKernel()
                && !arguments.has("no-freeze")
                && !arguments.has("origin")
                && !arguments.has("origin-snapshot-cmd");
    }

    private static Run prepare(Arguments arguments, String name, Console console, Opened opened) throws IOException {
        Path folder = folder(arguments, "to");
        MappedEraDevice device = opened.add(open(arguments, name, console));
        device.requireRunning();
        Path stateFile = arguments.has("state")
                ? path(arguments, "state")
                : folder.resolve(StreamNames.device(device.name()) + ".erabackup");
        String hook = arguments.value("origin-snapshot-cmd");
        Backup.Options options = new Backup.Options(
                folder,
                stateFile,
                arguments.has("full"),
                arguments.number("full-every", 0, 1, Integer.MAX_VALUE),
                arguments.number("max-changed", 100, 0, 100),
                arguments.value("identity"),
                CopyOptions.of(arguments),
                console.quiet());
        Overwriting.refuse(
                stateFile.toString(),
                List.of(device.metadata().toString(), device.origin().toString()));
        Folders.make(stateFile.toAbsolutePath().getParent());
        opened.add(lock(stateFile));
        return new Run(device, hook == null ? null : new OriginHook(hook, device), options);
    }

    private static void keep(Run run, int keep, Console console) throws IOException {
        Path folder = run.options.folder();
        String name = StreamNames.device(run.device.name());
        try {
            new Retention(folder, name, keep, run.options.copy().zstdLevel(), console::print, step -> {}).keep();
        } catch (IOException e) {
            throw new IOException("the backup is made, but older ones were not merged: " + e.getMessage(), e);
        }
    }

    private static MappedEraDevice open(Arguments arguments, String name, Console console) throws IOException {
        DmClient client = DmClient.open(arguments.value("control"), console::error);
        return Failures.takingBack(
                client::close,
                () -> MappedEraDevice.open(
                        client,
                        name,
                        path(arguments, "metadata"),
                        path(arguments, "origin"),
                        isFrozen(arguments, client)));
    }

    /** Looks at the backups that there are. The device itself is asked how full its metadata is, if it answers. */
    private static int look(Arguments arguments, Console console) throws IOException {
        Path folder = path(arguments, "to");
        if (!Files.isDirectory(folder)) {
            throw new IOException("No such folder: " + folder);
        }
        StoredBackups backups = stored(arguments);
        boolean none = backups.streams().isEmpty();
        EraStatus status = none || arguments.has("json") ? statusOrNull(arguments, console) : null;
        if (none && (arguments.has("verify") || status == null)) {
            // A name that is mistyped must not look like a device whose backups are all in order.
            throw new IOException(folder + ": there are no backups of " + arguments.operand(0)
                    + (status == null ? ", and there is no such device here" : ""));
        }
        if (arguments.has("verify")) {
            return backups.verify(console::print) ? 0 : 1;
        }
        if (arguments.has("json")) {
            console.print(
                    new BackupReport(backups, status, Instant.now()).json().stripTrailing());
        } else {
            for (String line : backups.table()) {
                console.print(line);
            }
        }
        return backups.isSound() ? 0 : 1;
    }

    /** By the name that device-mapper has for the device, or as it is given; the device need not be there. */
    private static StoredBackups stored(Arguments arguments) throws IOException {
        Path folder = Path.of(arguments.value("to"));
        String given = MappedEraDevice.nameOf(arguments.operand(0));
        String mangled = Mangling.mangle(Mangling.Kind.NAME, given, Mangling.Mode.ofEnvironment(System.getenv()));
        StoredBackups backups = new StoredBackups(folder, StreamNames.device(mangled));
        return backups.streams().isEmpty() ? new StoredBackups(folder, StreamNames.device(given)) : backups;
    }

    private static EraStatus statusOrNull(Arguments arguments, Console console) {
        try (MappedEraDevice device = open(arguments, arguments.operand(0), console)) {
            return device.status();
        } catch (IOException e) {
            // Backups are looked at on other machines, too; the report says that it doesn't know.
            return null;
        }
    }

    private static void writeMetrics(Arguments arguments, boolean success, long began, Console console)
            throws IOException {
        if (arguments.has("metrics")) {
            new BackupReport(stored(arguments), statusOrNull(arguments, console), Instant.now())
                    .writeMetrics(
                            path(arguments, "metrics"),
                            new BackupReport.Outcome(success, (System.nanoTime() - began) / NANOS_PER_SECOND));
        }
    }

    /**
     * Backs up one device after the other, whatever becomes of the others: each copy is right without them.
     *
     * @param group null: without views
     * @return those that were backed up, and whose older streams are to be merged now
     */
    private static List<Run> run(
            List<Run> runs, FrozenGroup group, List<IOException> failures, Console console, SignalHook signals)
            throws IOException {
        List<Run> made = new ArrayList<>();
        try (group) {
            for (Run run : runs) {
                if (attempt(failures, () -> backUp(run, group, console, signals))) {
                    made.add(run);
                }
                if (signals.hasCome()) {
                    break;
                }
            }
        }
        // Merging older ones can wait: whoever stops this wants an end.
        return signals.end() ? List.of() : made;
    }

    private static void backUp(Run run, FrozenGroup group, Console console, SignalHook signals) throws IOException {
        try (Backup backup = new Backup(run.device, run.hook, run.options, console::print).through(group)) {
            signals.begin(backup);
            backup.run();
        }
        if (group != null) {
            group.thaw(run.device);
        }
    }

    private static FileChannel lock(Path stateFile) throws IOException {
        Path file = LongNames.beside(stateFile, ".lock");
        FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (!FileClaim.takeForWriting(channel, file)) {
            channel.close();
            throw new Backup.BusyException("another era_backup is at work: " + file + " is locked");
        }
        return channel;
    }

    /** It is made in one that is there: below what isn't mounted, or is mistyped, the disk beneath would fill up. */
    private static Path folder(Arguments arguments, String option) throws IOException {
        Path folder = path(arguments, option);
        Path parent = folder.toAbsolutePath().getParent();
        if (parent != null && !Files.isDirectory(parent)) {
            throw new IOException("No such folder: " + parent);
        }
        return folder;
    }

    private static Path path(Arguments arguments, String option) {
        return arguments.has(option) ? Path.of(arguments.value(option)) : null;
    }
}
