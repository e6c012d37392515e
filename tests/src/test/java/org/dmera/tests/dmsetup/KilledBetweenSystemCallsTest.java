// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The engine is killed at a system call in the middle of a command, by strace's fault injection: the program as a whole, where
 * the state folder's own test takes every step of every change in one process.
 */
@Timeout(600)
class KilledBetweenSystemCallsTest {
    private static final String STRACE = "/usr/bin/strace";
    private static final String ON_A = "0 2048 linear %s 0";

    @TempDir
    Path folder;

    private Program program;

    /** A command, and at which call of which kind, counted in each thread, the engine is killed. */
    private record Kill(String systemCalls, int number, List<String> command) {}

    @BeforeEach
    void makeProgram() throws Exception {
        Program.need(Files.isExecutable(Path.of(STRACE)), "strace is missing");
        program = new Program(folder);
        program.file("a", 2048);
        program.file("b", 2048);
        program.start();
    }

    @AfterEach
    void endEngine() throws IOException {
        program.kill();
    }

    /** What can be seen of all devices. */
    private String seen() throws Exception {
        return program.run("info", "-c", "--noheadings", "-o", "name,attr,uuid,suspended")
                        .ok()
                        .out()
                + program.run("table").ok().out()
                + program.run("table", "--inactive").ok().out();
    }

    /** Runs a command while the engine is under strace; whether the engine was killed by that. */
    private boolean runAndKill(Kill kill) throws Exception {
        ProcessHandle engine = program.engine();
        Process strace = new ProcessBuilder(
                        STRACE,
                        "-f",
                        "-p",
                        Long.toString(engine.pid()),
                        "-o",
                        "/dev/null",
                        "-e",
                        "trace=" + kill.systemCalls,
                        "-e",
                        "inject=" + kill.systemCalls + ":signal=KILL:when=" + kill.number)
                .redirectErrorStream(true)
                .start();
        try (BufferedReader said =
                new BufferedReader(new InputStreamReader(strace.getInputStream(), StandardCharsets.UTF_8))) {
            String line = said.readLine();
            Program.need(line != null && line.contains("attached"), "strace can't attach: " + line);
            Program.Result result = program.run(kill.command.toArray(new String[0]));
            boolean killed = result.exit() != 0;
            if (killed) {
                assertTrue(engine.onExit().get(240, TimeUnit.SECONDS) != null);
            }
            return killed;
        } finally {
            strace.destroy();
            strace.waitFor();
        }
    }

    @Test
    void afterAKillInTheMiddleADeviceIsAsBeforeTheCommandOrAsAfterIt() throws Exception {
        String onA = ON_A.formatted(folder.resolve("a"));
        String onB = ON_A.formatted(folder.resolve("b"));
        program.run("create", "vol", "--table", onA).ok();
        program.run("load", "vol", "--table", onB).ok();
        List<Kill> kills = List.of(
                new Kill("rename", 1, List.of("resume", "vol")),
                new Kill("fsync", 2, List.of("suspend", "vol")),
                new Kill("pwrite64", 1, List.of("rename", "vol", "other")),
                new Kill("unlink", 1, List.of("remove", "vol")));
        for (Kill kill : kills) {
            String before = seen();
            assertTrue(runAndKill(kill), () -> kill + " killed nothing");
            program.start();
            String found = seen();
            if (!found.equals(before)) {
                // Then all of it is done: doing it again finds nothing to do, or nobody to do it to.
                assertEquals(List.of("suspend", "vol"), kill.command, found);
                assertTrue(found.contains("Suspended"), found);
            }
        }
    }
}
