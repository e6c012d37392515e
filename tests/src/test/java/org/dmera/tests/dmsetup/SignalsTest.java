// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.engine.Signals;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.dmera.tests.kernel.ServingThreads;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What signals mean to an engine: the end in order, another log file, or nothing; never what a kill does. */
@Timeout(600)
@Alone
class SignalsTest {
    private static final int CAP_SYS_RESOURCE = 24;

    private static final List<String> WITH_AN_ENGINE =
            List.of("INT", "USR1", "USR2", "ALRM", "PROF", "PWR", "XCPU", "ABRT");

    /** Those that an engine has other uses for, or that nobody or a virtual machine alone can handle. */
    private static final Set<String> NOT_FOR_THE_END =
            Set.of("HUP", "QUIT", "ILL", "BUS", "FPE", "KILL", "SEGV", "PIPE", "XFSZ");

    @TempDir
    Path folder;

    private static void send(Program program, String signal) throws IOException, InterruptedException {
        program.run(List.of("kill", "-" + signal, Long.toString(program.engine().pid())))
                .ok();
    }

    private static void awaitLog(Program program, String text) throws IOException {
        while (!program.log().contains(text)) {
            LockSupport.parkNanos(5_000_000);
        }
    }

    @Test
    void everySignalByWhichAProcessEndsEndsTheEngineInOrder() throws Exception {
        TreeMap<String, Process> engines = new TreeMap<>();
        try {
            for (String signal : WITH_AN_ENGINE) {
                Path own = Files.createDirectory(folder.resolve(signal));
                engines.put(signal, new Program(own).beginEngine(own.resolve("log")));
            }
            for (var each : engines.entrySet()) {
                Path log = folder.resolve(each.getKey()).resolve("log");
                while (!Files.readString(log).contains(" answers at ")) {
                    assertTrue(each.getValue().isAlive(), () -> log.toString());
                    LockSupport.parkNanos(5_000_000);
                }
                new ProcessBuilder(
                                "kill",
                                "-" + each.getKey(),
                                Long.toString(each.getValue().pid()))
                        .start()
                        .waitFor();
                assertEquals(0, each.getValue().waitFor(), each.getKey());
                assertTrue(Files.readString(log).endsWith("engine has stopped\n"), each.getKey());
            }
        } finally {
            for (Process engine : engines.values()) {
                engine.destroyForcibly();
            }
        }
    }

    /** An engine gives all of them to one handler, so this virtual machine can say of the rest whether it comes to be run. */
    @Test
    void theOtherSignalsByWhichAProcessEndsComeToTheirHandlerToo() throws Exception {
        Set<String> others = new TreeSet<>(Signals.ENDING);
        others.removeAll(WITH_AN_ENGINE);
        // By which engines are ended throughout.
        others.remove("TERM");
        assertEquals(Set.of("VTALRM", "POLL", "STKFLT", "TRAP", "SYS"), others);
        for (String signal : others) {
            CountDownLatch come = new CountDownLatch(1);
            Signals.handle(signal, come::countDown);
            Process kill = new ProcessBuilder(
                            "kill",
                            "-" + signal,
                            Long.toString(ProcessHandle.current().pid()))
                    .start();
            assertEquals(0, kill.waitFor(), signal);
            assertTrue(come.await(1, TimeUnit.MINUTES), signal);
        }
    }

    @Test
    void noSignalIsMissingByWhichTheKernelEndsAProcess() throws Exception {
        // Each sent to a shell of its own, but for those that stop it; those below 32 are no real-time signals.
        Program.Result shells =
                new Program(folder).run(List.of("sh", "-c", """
                        ulimit -c 0
                        for number in $(seq 1 31); do
                            name=$(kill -l $number)
                            case $name in STOP | TSTP | TTIN | TTOU) continue ;; esac
                            status=0
                            sh -c "kill -$number \\$\\$" || status=$?
                            test $status -eq 0 || echo "$name $((status - 128 - number))"
                        done
                        """)).ok();
        Set<String> ending = new TreeSet<>();
        for (String line : shells.out().lines().toList()) {
            String[] words = line.split(" ", -1);
            assertEquals("0", words[1], line);
            ending.add(
                    switch (words[0]) {
                        // signal(7): another name for the same.
                        case "IO" -> "POLL";
                        // Some shells have no name for it.
                        case "16" -> "STKFLT";
                        default -> words[0];
                    });
        }
        assertTrue(ending.containsAll(List.of("KILL", "TERM", "POLL", "SYS")), ending.toString());
        ending.removeAll(NOT_FOR_THE_END);
        ending.removeAll(Signals.ENDING);
        assertEquals(Set.of(), ending);
    }

    @Test
    void aHangupBeginsANewLogFileAndOtherSignalsThatEndNothingEndNothing() throws Exception {
        try (Program program = new Program(folder)) {
            program.start();
            long pid = program.engine().pid();
            program.run("create", "vol", "--table", "0 8 zero").ok();
            Path log = program.state.resolve("engine.log");
            Path old = program.state.resolve("engine.log.1");
            Files.move(log, old);

            send(program, "HUP");
            long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
            while (!Files.exists(log)) {
                assertTrue(System.nanoTime() < deadline, "no new log: is SIGHUP ignored, as nohup has it?");
                LockSupport.parkNanos(5_000_000);
            }
            awaitLog(program, "(SIGHUP)");
            assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(log)));
            // Without a rotation it goes on in the same file.
            send(program, "HUP");
            for (String signal : List.of("QUIT", "PIPE", "34", "64")) {
                send(program, signal);
            }
            program.run("create", "later", "--table", "0 8 zero").ok();
            assertTrue(program.log().contains("created later"), program.log());
            assertFalse(Files.readString(old).contains("created later"));
            assertEquals(pid, program.engine().pid());
            program.terminate();
            assertTrue(program.log().endsWith("engine has stopped\n"), program.log());
        }
    }

    @Test
    void aHangupFollowsNoLinkAndThenTheLogGoesOnWhereItWas() throws Exception {
        try (Program program = new Program(folder)) {
            program.start();
            Path log = program.state.resolve("engine.log");
            Path old = program.state.resolve("old");
            Path victim = Files.createFile(folder.resolve("victim"));
            Files.move(log, old);
            Files.createSymbolicLink(log, victim);
            send(program, "HUP");
            while (!Files.readString(old).contains("the log goes on in the old file")) {
                LockSupport.parkNanos(5_000_000);
            }
            assertEquals(0, Files.size(victim));
        }
    }

    @Test
    void threadsThatServeNodesDoNotWaitForThemWhenTheyNeedMemory() throws Exception {
        Host.needAttach();
        try (Program program = new Program(folder)) {
            program.start();
            assumeTrue(hasResourceCapability(program), "needs CAP_SYS_RESOURCE, which containers often lack");
            String vol = TestLinks.name("memory");
            program.run(
                            "create",
                            vol,
                            "--attach",
                            "--table",
                            "0 65536 era " + program.file("meta", 8192) + " " + program.file("data", 65_536) + " 8")
                    .ok();
            // Some end meanwhile, such as that of the connection by which the device was created.
            String stats = "cat /proc/" + program.engine().pid() + "/task/*/stat 2>/dev/null || :";
            List<String> threads =
                    program.run(List.of("sh", "-c", stats)).ok().out().lines().toList();
            assertTrue(ServingThreads.requireIoFlushers(threads) >= 5, threads::toString);
            program.run("remove", vol).ok();
        }
    }

    private static boolean hasResourceCapability(Program program) throws IOException {
        String effective = Files.readAllLines(
                        Path.of("/proc/" + program.engine().pid() + "/status"))
                .stream()
                .filter(line -> line.startsWith("CapEff:"))
                .findFirst()
                .orElseThrow();
        return (Long.parseUnsignedLong(effective.substring(7).strip(), 16) >> CAP_SYS_RESOURCE & 1) == 1;
    }
}
