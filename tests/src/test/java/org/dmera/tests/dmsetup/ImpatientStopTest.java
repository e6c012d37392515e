// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.testkit.Fixtures;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A stop that does not come to its end, because a device can't be suspended, and the second signal that ends it. */
@Timeout(600)
class ImpatientStopTest {
    private static final long LIMIT_NANOS = TimeUnit.SECONDS.toNanos(240);

    @TempDir
    Path folder;

    private final List<Process> started = new ArrayList<>();

    private Process start(Map<String, String> environment, String... command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log-" + started.size()).toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        started.add(process);
        return process;
    }

    @AfterEach
    void endAll() throws InterruptedException {
        for (Process process : started) {
            process.destroyForcibly().waitFor();
        }
    }

    private interface Event {
        boolean happened() throws IOException, InterruptedException;
    }

    private void await(String what, Event event) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + LIMIT_NANOS;
        while (!event.happened()) {
            assertTrue(System.nanoTime() < deadline, () -> "waited in vain for " + what + ": " + logs());
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
        }
    }

    private String logs() {
        StringBuilder all = new StringBuilder();
        for (int i = 0; i < started.size(); i++) {
            try {
                all.append(Files.readString(folder.resolve("log-" + i)));
            } catch (IOException e) {
                all.append(e);
            }
        }
        return all.toString();
    }

    @Test
    void aSecondSigtermEndsAStopThatHangsAndEveryAcknowledgedWriteIsMarked() throws Exception {
        for (String tool : List.of("gcc", "qemu-io")) {
            Program.need(Files.isExecutable(Path.of("/usr/bin", tool)), "needs " + tool);
        }
        Program program = new Program(folder);
        Path library = folder.resolve("hold.so");
        program.run(List.of(
                        "gcc",
                        "-shared",
                        "-fPIC",
                        "-o",
                        library.toString(),
                        Fixtures.projectRoot().resolve("tests/dmsetup/hold.c").toString(),
                        "-ldl"))
                .ok();
        Path slow = program.file("slow.data", 65_536);
        Process engine = start(
                Map.of(
                        "LD_PRELOAD",
                        library.toString(),
                        "ERA_HOLD",
                        slow.toRealPath().toString()),
                Distribution.program("era-dmsetup"),
                "engine",
                "--control",
                program.socket.toString(),
                "--state",
                program.state.toString());
        await("the engine", () -> program.run("ls").exit() == 0);
        create(program, "hangs", slow);
        create(program, "good", program.file("good.data", 65_536));

        // Acknowledged.
        assertEquals(0, write(program, "good", 5 * 4096).waitFor(), this::logs);
        write(program, "hangs", 3 * 4096);
        await(
                "the mark of the write that hangs",
                () -> program.run("message", "hangs", "0", "@marked").out().equals("1\n"));

        engine.destroy();
        await("the engine's log", () -> logs().contains("engine stops"));
        assertTrue(engine.isAlive(), "a device can't be suspended while it has I/O");
        do {
            // Two that are further apart than five seconds, as a busy machine may have them, are two first ones.
            engine.destroy();
        } while (!engine.waitFor(1, TimeUnit.SECONDS));
        assertEquals(143, engine.exitValue());
        assertTrue(logs().contains("a second signal: exits at once"), this::logs);
        assertFalse(logs().contains("engine has stopped"), this::logs);

        for (String name : List.of("good", "hangs")) {
            Path metadata = folder.resolve(name + ".meta");
            program.run(List.of(Distribution.program("era_check"), metadata.toString()))
                    .ok();
        }
        program.start();
        try {
            assertEquals("2\n", eraOf(program, "good"));
            program.run("message", "good", "0", "take_metadata_snap").ok();
            String written = program.run(List.of(
                            Distribution.program("era_invalidate"),
                            "--metadata-snapshot",
                            "--written-since",
                            "1",
                            folder.resolve("good.meta").toString()))
                    .ok()
                    .out();
            assertTrue(written.contains("block=\"5\""), written);
        } finally {
            program.kill();
        }
    }

    private static void create(Program program, String name, Path origin) throws Exception {
        String table = "0 65536 era " + program.file(name + ".meta", 8192) + " " + origin + " 8";
        program.run("create", name, "--table", table).ok();
    }

    private Process write(Program program, String name, long offsetBytes) throws Exception {
        String uri = program.run("uri", name).ok().out().strip();
        return start(Map.of(), "qemu-io", "-f", "raw", "-c", "write -P 7 " + offsetBytes + " 4096", uri);
    }

    private static String eraOf(Program program, String name) throws Exception {
        return program.run("status", name).ok().out().split(" ", -1)[5] + "\n";
    }
}
