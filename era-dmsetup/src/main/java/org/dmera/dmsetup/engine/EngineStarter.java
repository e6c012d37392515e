// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.SocketControl;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** Starts an engine in the background, in a session of its own, and waits until it answers. */
public final class EngineStarter {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);
    private static final long LOOK_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(20);
    private static final int LOG_TAIL_LINES = 5;

    private EngineStarter() {}

    /**
     * Starts an engine, unless one answers already when it has come so far. Its log goes to {@code engine.log} in the
     * state folder.
     *
     * @throws IOException when it ends instead of answering, with the end of its log
     */
    public static void start(EngineOptions options) throws IOException {
        StateDirectory.make(options.state());
        File logFile = options.state().resolve("engine.log").toFile();
        long logStart = logFile.length();
        ProcessBuilder builder = new ProcessBuilder(command(options))
                .redirectInput(new File("/dev/null"))
                .redirectOutput(ProcessBuilder.Redirect.appendTo(logFile))
                .redirectError(ProcessBuilder.Redirect.appendTo(logFile));
        NativeText.restoreLocale(builder.environment());
        // It is no part of a service that happens to create a device.
        builder.environment().remove(ServiceManager.VARIABLE);
        PassedSockets.VARIABLES.forEach(builder.environment()::remove);
        Process process = builder.start();
        long deadline = System.nanoTime() + PATIENCE_NANOS;
        while (!answers(options.control())) {
            if (System.nanoTime() > deadline) {
                throw new IOException("the engine does not answer at " + options.control() + "; its log is " + logFile);
            }
            if (hasExited(process) && !answers(options.control())) {
                String tail = tail(logFile.toPath(), logStart);
                if (!tail.contains(StateDirectory.TAKEN)) {
                    throw new IOException("the engine did not start: " + tail);
                }
                // Another one was started at the same moment, and will answer in its stead; or one stops, and will end.
                LockSupport.parkNanos(LOOK_AGAIN_NANOS);
                if (!StateDirectory.isHeld(options.state())) {
                    logStart = logFile.length();
                    process = builder.start();
                }
            }
        }
    }

    /** Whether a call is answered: the socket is there before the devices' nodes are, and takes calls when they are. */
    private static boolean answers(Path socket) {
        try (SocketControl control = SocketControl.connect(socket)) {
            control.call(
                    DmCommand.VERSION.number(),
                    DmIoctl.request(DmIoctl.HEADER_BYTES).buffer());
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static boolean hasExited(Process process) {
        try {
            return process.waitFor(LOOK_AGAIN_NANOS, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return true;
        }
    }

    private static String tail(Path log, long from) throws IOException {
        byte[] all = Files.readAllBytes(log);
        String text = new String(
                all, (int) Math.min(from, all.length), (int) Math.max(0, all.length - from), NativeText.CHARSET);
        List<String> lines = text.lines().toList();
        return String.join("; ", lines.subList(Math.max(0, lines.size() - LOG_TAIL_LINES), lines.size()));
    }

    /** The engine's command line: by the distribution's launcher, else by the JVM that runs this. */
    private static List<String> command(EngineOptions options) {
        List<String> command = new ArrayList<>();
        // setsid: the engine must outlive the terminal from which somebody happened to create a device.
        if (Files.isExecutable(Path.of("/usr/bin/setsid"))) {
            command.add("/usr/bin/setsid");
        }
        String home = System.getProperty("era.home");
        Path launcher = home == null ? null : Path.of(home, "bin", "era-dmsetup");
        if (launcher != null && Files.isExecutable(launcher)) {
            command.add(launcher.toString());
        } else {
            command.addAll(List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-cp",
                    System.getProperty("java.class.path"),
                    "org.dmera.dmsetup.Main",
                    "era-dmsetup"));
        }
        command.addAll(List.of(
                "engine",
                "--control",
                options.control().toAbsolutePath().toString(),
                "--nbd",
                options.nbd().toAbsolutePath().toString(),
                "--state",
                options.state().toAbsolutePath().toString(),
                "--log-level",
                options.level().word()));
        if (options.tcp() != null) {
            // Whether plain TCP is all right was asked already.
            command.addAll(List.of("--nbd", options.nbd().toAbsolutePath() + "," + options.tcp(), "--nbd-plain"));
            TcpAccess access = options.access();
            if (access.tls() != null) {
                command.addAll(
                        List.of("--nbd-tls", access.tls().toAbsolutePath().toString()));
                access.clients().forEach(name -> command.addAll(List.of("--nbd-tls-allow", name)));
            }
        }
        return command;
    }
}
