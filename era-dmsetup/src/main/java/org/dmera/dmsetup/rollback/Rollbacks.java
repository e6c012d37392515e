// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.tools.cli.Console;

/** The way in: a rollback as a command line asks for it. */
public final class Rollbacks {
    /** Emptied by a reboot, as the tables of devices are. */
    public static final Path DEFAULT_FOLDER = Path.of("/run/era");

    private Rollbacks() {}

    /**
     * Rolls back, or says what that would do.
     *
     * @param device the cache
     * @param udevFlags for udev's rules when it changes
     * @param since the era that began when the volume's snapshot was made
     * @param command the program that rolls the volume back, with its arguments
     * @param rehearse to change nothing
     * @param folder for the record of how far it has come
     * @param log receives each step
     * @param console for the progress bar
     */
    public static void run(
            DmClient client,
            DeviceId device,
            int udevFlags,
            long since,
            List<String> command,
            boolean rehearse,
            Path folder,
            Consumer<String> log,
            Console console)
            throws IOException {
        DeviceId named = DeviceId.ofName(client.info(device).name());
        try (Rollback rollback = new Rollback(new MappedCache(client, named, udevFlags), since, folder, log, console)) {
            String text = String.join(" ", command);
            if (rehearse) {
                rollback.rehearse(text);
                return;
            }
            Thread stopper = new Thread(rollback::stop, "rollback-stop");
            try {
                Runtime.getRuntime().addShutdownHook(stopper);
            } catch (IllegalStateException e) {
                // A signal has come already.
                throw new InterruptedIOException("interrupted");
            }
            try {
                rollback.run(started -> execute(command, started), text);
            } finally {
                remove(stopper);
            }
        }
    }

    private static void remove(Thread stopper) throws InterruptedIOException {
        try {
            Runtime.getRuntime().removeShutdownHook(stopper);
        } catch (IllegalStateException e) {
            // The process is ending: the channel must stay open until the hook has done its work.
            try {
                stopper.join();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
                throw new InterruptedIOException("interrupted");
            }
        }
    }

    private static int execute(List<String> command, Rollback.Started started) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
        NativeText.restoreLocale(builder.environment());
        Process process = builder.start();
        started.process(process.pid(), ProcessStart.ticks(process.pid()));
        try {
            return process.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("interrupted while the command ran");
        }
    }
}
