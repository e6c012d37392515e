// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whoever asks for a device that a restart has not brought back yet, on a busy machine: they wait, but not for ever. */
@Timeout(600)
@Alone
class OnItsWayTest {
    private static final long LIMIT_SECONDS = 30;
    private static final int LOAD = 10;
    private static final int DEVICES = 20;

    @TempDir
    Path folder;

    private Program program;
    private final List<Process> load = new ArrayList<>();
    private final ExecutorService askers = Executors.newCachedThreadPool();

    @AfterEach
    void end() throws Exception {
        for (Process each : load) {
            each.destroyForcibly();
        }
        askers.shutdownNow();
        if (program != null) {
            program.kill();
        }
    }

    /** How a program ended, and after how long. */
    private record Asked(Program.Result result, long seconds) {}

    private Future<Asked> ask(Callable<Program.Result> program) {
        return askers.submit(() -> {
            long began = System.nanoTime();
            Program.Result result = program.call();
            return new Asked(result, TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - began));
        });
    }

    private String uri(String name) {
        return "nbd+unix:///" + name + "?socket=" + program.socket.resolveSibling("control.nbd");
    }

    private void make(Path own) throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "takes most of a minute: -Dera.nightly=true");
        Program.need(Files.isExecutable(Path.of("/usr/bin/nbdinfo")), "needs nbdinfo (setup/packages.txt)");
        program = new Program(Files.createDirectory(own));
        program.start();
        program.run("create", "beneath", "--table", "0 8192 linear " + program.file("meta", 8192) + " 0")
                .ok();
        program.run("create", "hung", "--table", "0 8192 era engine:beneath " + program.file("data", 8192) + " 8")
                .ok();
        for (int i = 0; i < DEVICES; i++) {
            String files = program.file("meta" + i, 8192) + " " + program.file("data" + i, 8192);
            program.run("create", "vol" + i, "--table", "0 8192 era " + files + " 8")
                    .ok();
        }
        for (int i = 0; i < LOAD; i++) {
            load.add(new ProcessBuilder("sh", "-c", "while :; do :; done").start());
        }
    }

    @Test
    void theyGetTheDevice() throws Exception {
        make(folder.resolve("own"));
        for (int round = 0; round < 5; round++) {
            program.kill();
            program.startAtOnce();
            List<Future<Asked>> all = new ArrayList<>();
            for (int i = 0; i < DEVICES; i++) {
                String name = "vol" + i;
                all.add(ask(() -> program.run(List.of("/usr/bin/nbdinfo", "--size", uri(name)))));
            }
            for (Future<Asked> each : all) {
                assertEquals("4194304\n", each.get().result.ok().out());
            }
        }
    }

    @Test
    void theyAreToldThatItIsNotThereWhenTheirTimeIsOverAndHoldUpNobody() throws Exception {
        make(folder.resolve("own"));
        // Remembered as suspended: reading the metadata waits for its resume.
        program.run("suspend", "beneath").ok();
        program.kill();
        program.startAtOnce();
        assertTrue(program.log().contains("hung (120:1) is not back yet"), program.log());
        Map<String, Future<Asked>> all = new LinkedHashMap<>();
        all.put("export", ask(() -> program.run(List.of("/usr/bin/nbdinfo", "--size", uri("hung")))));
        all.put("message", ask(() -> program.run("message", "hung", "0", "checkpoint")));
        boolean attach = Program.isRoot() && Files.exists(Path.of("/dev/fuse"));
        if (attach) {
            all.put("attach", ask(() -> program.run("attach", "hung")));
        }
        // Others are not held up by them.
        Asked status = ask(() -> program.run("status", "vol0")).get();
        status.result.ok();
        assertTrue(status.seconds < LIMIT_SECONDS / 2, status.toString());
        for (Map.Entry<String, Future<Asked>> each : all.entrySet()) {
            Asked asked = each.getValue().get();
            assertNotEquals(0, asked.result.exit(), each.getKey());
            assertTrue(asked.seconds >= LIMIT_SECONDS - 5, () -> each.getKey() + asked);
            assertTrue(asked.seconds < 2 * LIMIT_SECONDS, () -> each.getKey() + asked);
            List<String> lines = new ArrayList<>(asked.result.err().lines().toList());
            lines.remove("Command failed.");
            assertEquals(1, lines.size(), asked::toString);
            boolean nbd = each.getKey().equals("export");
            assertTrue(
                    lines.get(0)
                            .contains(nbd ? "no export named 'hung'" : "on hung  failed: No such device or address"),
                    asked::toString);
        }
        // And the next one, after it has come back, gets it.
        program.run("resume", "beneath").ok();
        assertEquals(
                "4194304\n",
                program.run(List.of("/usr/bin/nbdinfo", "--size", uri("hung")))
                        .ok()
                        .out());
    }
}
