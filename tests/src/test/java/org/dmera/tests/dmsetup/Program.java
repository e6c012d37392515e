// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import org.dmera.tests.Distribution;

/** Runs the distribution's era-dmsetup with an engine of its own, in a folder of its own. */
final class Program implements AutoCloseable {
    private static final long LIMIT_SECONDS = 240;
    private static final Pattern LATE = Pattern.compile("era-dmsetup: (.*)( \\([0-9]+:[0-9]+\\)) is not back yet: ");
    private static final String LAUNCHER = Distribution.program("era-dmsetup");

    /** How a run ended. */
    record Result(int exit, String out, String err) {
        Result ok() {
            assertEquals(0, exit, () -> out + err);
            return this;
        }
    }

    final Path folder;
    final Path socket;
    final Path state;

    Program(Path folder) {
        this.folder = folder;
        socket = folder.resolve("run/control");
        state = folder.resolve("state");
    }

    /** A file of zeroes. */
    Path file(String name, long sectors) throws IOException {
        Path file = folder.resolve(name);
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(sectors * 512);
        }
        return file;
    }

    /** Runs era-dmsetup on this engine. */
    Result run(String... words) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(LAUNCHER, "--control", socket.toString()));
        command.addAll(List.of(words));
        return run(command);
    }

    /** Starts era-dmsetup on this engine, and does not wait for it. */
    Process begin(String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of(LAUNCHER, "--control", socket.toString()));
        command.addAll(List.of(words));
        return new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
    }

    /** Runs any command, with this engine's state folder in the environment. */
    Result run(List<String> command) throws IOException, InterruptedException {
        Path out = Files.createTempFile(folder, "out", "");
        Path err = Files.createTempFile(folder, "err", "");
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(out.toFile())
                .redirectError(err.toFile());
        builder.environment().put("ERA_STATE", state.toString());
        builder.environment().remove("ERA_CONTROL");
        Process process = builder.start();
        if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError(command + " does not end: " + Files.readString(out) + Files.readString(err));
        }
        return new Result(process.exitValue(), read(out), read(err));
    }

    private static String read(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.UTF_8);
    }

    /** Starts the engine in the background; it has brought its devices back then, unless the machine is busy. */
    void startAtOnce() throws IOException, InterruptedException {
        run("engine", "--state", state.toString(), "--detach").ok();
    }

    /** The same, and waits for the devices that a busy machine brings back later. */
    void start() throws IOException, InterruptedException {
        int begin = log().length();
        startAtOnce();
        awaitBack(() -> log().substring(begin));
    }

    /** What an engine has logged since it was started. */
    interface Log {
        String text() throws IOException;
    }

    static void awaitBack(Log log) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (isAnyOnItsWay(log.text())) {
            assertTrue(System.nanoTime() < deadline, log.text());
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
        }
    }

    private static boolean isAnyOnItsWay(String log) {
        return LATE.matcher(log)
                .results()
                .anyMatch(late -> !log.contains("brought back " + late.group(1) + late.group(2))
                        && !log.contains(late.group(1) + " came back without its table"));
    }

    /** Starts the engine as a child of this process, with its log in {@code log}. */
    Process beginEngine(Path log) throws IOException {
        return new ProcessBuilder(LAUNCHER, "engine", "--control", socket.toString(), "--state", state.toString())
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(log.toFile())
                .start();
    }

    /** The engine's process; null when none runs. */
    ProcessHandle engine() throws IOException {
        Path lock = state.resolve("lock");
        if (!Files.exists(lock)) {
            return null;
        }
        String pid = Files.readString(lock).strip();
        return pid.isEmpty()
                ? null
                : ProcessHandle.of(Long.parseLong(pid))
                        .filter(ProcessHandle::isAlive)
                        .orElse(null);
    }

    /** SIGTERM, and waits until the engine is gone. */
    void terminate() throws IOException {
        end(false);
    }

    /** SIGKILL. */
    void kill() throws IOException {
        end(true);
    }

    private void end(boolean forcibly) throws IOException {
        ProcessHandle engine = engine();
        if (engine == null) {
            return;
        }
        if (forcibly) {
            engine.destroyForcibly();
        } else {
            engine.destroy();
        }
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (engine.isAlive()) {
            assertTrue(System.nanoTime() < deadline, "the engine does not end: " + log());
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
        }
    }

    /** What the engine has logged. */
    String log() throws IOException {
        Path log = state.resolve("engine.log");
        return Files.exists(log) ? Files.readString(log) : "";
    }

    /** Skips when {@code condition} does not hold; in CI that is a failure. */
    static void need(boolean condition, String what) {
        assertTrue(condition || !"true".equals(System.getenv("CI")), what);
        assumeTrue(condition, what);
    }

    static boolean isRoot() {
        return "root".equals(System.getProperty("user.name"));
    }

    @Override
    public void close() throws IOException {
        kill();
    }
}
