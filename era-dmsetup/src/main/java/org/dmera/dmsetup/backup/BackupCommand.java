// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.dmera.core.file.FileClaim;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.tools.Command;
import org.dmera.tools.backup.BackupUsage;
import org.dmera.tools.backup.CopyOptions;
import org.dmera.tools.cli.Arguments;
import org.dmera.tools.cli.Console;
import org.dmera.tools.cli.Usage;
import org.dmera.tools.io.Overwriting;

/** {@code era_backup}: the whole cycle of a backup on a running era device. */
public final class BackupCommand implements Command {
    /** EX_TEMPFAIL of sysexits.h: nothing is wrong, but not now. */
    private static final int TRY_AGAIN_LATER = 75;

    /** systemd kills after 90 seconds. */
    private static final long PATIENCE_SECONDS = 60;

    @Override
    public Usage usage() {
        return BackupUsage.usage();
    }

    @Override
    public int run(Arguments arguments, Console console) throws IOException {
        Path folder = Path.of(arguments.value("to"));
        try (MappedEraDevice device = MappedEraDevice.open(
                DmClient.open(arguments.value("control")),
                arguments.operand(0),
                path(arguments, "metadata"),
                path(arguments, "origin"))) {
            Path stateFile = arguments.has("state")
                    ? path(arguments, "state")
                    : folder.resolve(device.name().replace('/', '-') + ".erabackup");
            String hook = arguments.value("origin-snapshot-cmd");
            Backup.Options options = new Backup.Options(
                    folder,
                    stateFile,
                    arguments.has("full"),
                    arguments.number("full-every", 0, 1, Integer.MAX_VALUE),
                    arguments.value("identity"),
                    CopyOptions.of(arguments),
                    console.quiet());
            Overwriting.refuse(
                    stateFile.toString(),
                    List.of(device.metadata().toString(), device.origin().toString()));
            Files.createDirectories(stateFile.toAbsolutePath().getParent());
            FileChannel lockFile = lock(stateFile);
            try (lockFile) {
                run(device, hook == null ? null : new OriginHook(hook, device), options, console);
            }
        } catch (Backup.BusyException e) {
            console.error(e.getMessage());
            return TRY_AGAIN_LATER;
        }
        return 0;
    }

    private static void run(EraDevice device, OriginHook hook, Backup.Options options, Console console)
            throws IOException {
        CountDownLatch done = new CountDownLatch(1);
        try (Backup backup = new Backup(device, hook, options, console::print)) {
            // A signal ends the JVM through its hooks: this one waits until the snapshots are gone.
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                backup.stop();
                await(done);
            }));
            backup.run();
        } finally {
            done.countDown();
        }
    }

    private static void await(CountDownLatch done) {
        try {
            if (!done.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                System.err.println("era_backup: interrupted; the next run drops the snapshots");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static FileChannel lock(Path stateFile) throws IOException {
        Path file = stateFile.resolveSibling(stateFile.getFileName() + ".lock");
        FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (!FileClaim.takeForWriting(channel)) {
            channel.close();
            throw new Backup.BusyException("another era_backup is at work: " + file + " is locked");
        }
        return channel;
    }

    private static Path path(Arguments arguments, String option) {
        return arguments.has(option) ? Path.of(arguments.value(option)) : null;
    }
}
