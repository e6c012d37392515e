// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A signal in the middle of a result: strace holds the program up in a system call on the file that isn't whole, and it is
 * sent then. Those by which people and systems end programs leave nothing; what a kill leaves is taken away by the next run.
 */
@Timeout(300)
class InterruptedResultsTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");
    private static final int BLOCKS = 64;
    private static final String PARTIAL = ".partial";

    /** When the program is held up: the file was just made, was just written to, or is about to be made durable. */
    private static final List<String> MOMENTS = List.of("openat:delay_exit", "%s:delay_exit", "fsync:delay_enter");

    private static final List<String> SIGNALS = List.of("INT", "TERM", "HUP");
    /** A program that is to be killed stays where it is, so the kill is always in time; other signals need it to go on. */
    private static final String STOPPED = "%s:signal=STOP";

    private static final int LONGEST_SECONDS = 64;

    @TempDir
    private Path folder;

    @BeforeEach
    void make() throws Exception {
        Ran.needLaunchers();
        Ran.need(Path.of(SystemCalls.STRACE), "setup/packages.txt");
        Path metadata = folder.resolve("meta");
        Ran.tool("era-tools", "generate", "--nr-blocks", BLOCKS, "--block-size", 8, "-q", "-o", metadata)
                .good();
        sized(folder.resolve("origin"), BLOCKS * 4096L);
        Ran.tool("era_copy", "--full", "-m", metadata, folder.resolve("origin"), "-o", folder.resolve("full"))
                .good();
    }

    private static Path sized(Path file, long bytes) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(bytes);
        }
        return file;
    }

    /** A program's words, the file that is its result, and how it writes. */
    private record Case(String words, String result, String write) {}

    private static final List<Case> CASES = List.of(
            new Case("era_dump meta -o out", "out", "write"),
            new Case("era_invalidate --written-since 0 meta -o out", "out", "write"),
            new Case("era_plot meta -o out.svg", "out.svg", "write"),
            new Case("era_copy --full -m meta origin -o out", "out", "pwrite64"),
            new Case("era_copy --merge full -o out", "out", "pwrite64"),
            new Case("era_apply full -o target", "target.erastate", "write"));

    @TestFactory
    Stream<DynamicTest> nothingIsLeftThatIsNotWhole() {
        List<DynamicTest> tests = new ArrayList<>();
        for (int i = 0; i < CASES.size() * SIGNALS.size() * MOMENTS.size(); i++) {
            Case each = CASES.get(i % CASES.size());
            String signal = SIGNALS.get(i / CASES.size() % SIGNALS.size());
            // In the ordinary run some programs are ended once, by different signals at different moments.
            int turn = NIGHTLY ? i / CASES.size() / SIGNALS.size() : i + i / MOMENTS.size();
            String moment = MOMENTS.get(turn % MOMENTS.size());
            if (NIGHTLY || i % 13 == 0) {
                tests.add(DynamicTest.dynamicTest(
                        each.words + " SIG" + signal + " " + moment, () -> assertNothingIsLeft(each, signal, moment)));
            }
        }
        return tests.stream();
    }

    @TestFactory
    Stream<DynamicTest> whatAKillLeavesIsTakenAwayByTheNextRun() {
        return CASES.stream()
                .limit(NIGHTLY ? CASES.size() : 1)
                .map(each -> DynamicTest.dynamicTest(each.words, () -> {
                    Path partial = folder.resolve(each.result + PARTIAL);
                    assertNotEquals(0, interrupted(each, "KILL", STOPPED));
                    assertTrue(Files.exists(partial));
                    assertFalse(Files.exists(folder.resolve(each.result)));
                    Ran again = Ran.of(command(each), Map.of());
                    assertEquals(0, again.code(), again::err);
                    assertFalse(Files.exists(partial));
                    assertTrue(Files.size(folder.resolve(each.result)) > 0);
                    Files.delete(folder.resolve(each.result));
                    Files.deleteIfExists(folder.resolve("target"));
                }));
    }

    private void assertNothingIsLeft(Case each, String signal, String moment) throws Exception {
        int code = 0;
        for (int seconds = 1; code == 0 && seconds <= LONGEST_SECONDS; seconds *= 4) {
            code = interrupted(each, signal, held(moment, seconds));
            assertFalse(Files.exists(folder.resolve(each.result + PARTIAL)));
            Path result = folder.resolve(each.result);
            if (Files.exists(result)) {
                // On a busy machine it was done before the signal came to it; then it is whole.
                long size = Files.size(result);
                Files.delete(result);
                Ran again = Ran.of(command(each), Map.of());
                assertEquals(0, again.code(), again::err);
                assertEquals(Files.size(result), size);
                Files.delete(result);
            }
        }
        assertNotEquals(0, code);
    }

    private static String held(String moment, int seconds) {
        return moment + "=" + TimeUnit.SECONDS.toMicros(seconds);
    }

    @Test
    void aBackupLeavesNoPartOfAStreamUnlessItIsKilledAndThenOnlyToTheNextOne() throws Exception {
        String control = folder.resolve("run/control").toString();
        Ran.tool("era-dmsetup", "engine", "--control", control, "--state", folder.resolve("state"), "--detach");
        try {
            Path metadata = sized(folder.resolve("vol.meta"), 1 << 20);
            Path origin = sized(folder.resolve("vol.data"), BLOCKS * 4096L);
            String table = "0 " + BLOCKS * 8 + " era " + metadata + " " + origin + " 8";
            Ran.tool("era-dmsetup", "--control", control, "create", "vol", "--table", table)
                    .good();
            Path streams = folder.resolve("streams");
            List<String> backup = List.of(
                    Distribution.program("era_backup"), "--control", control, "vol", "--to", streams.toString());
            Path stream = streams.resolve("vol.000001.full.erastream");
            Path partial = streams.resolve(stream.getFileName() + PARTIAL);
            for (String signal : NIGHTLY ? SIGNALS : List.of("TERM")) {
                int code = 0;
                for (int seconds = 1; code == 0 && seconds <= LONGEST_SECONDS; seconds *= 4) {
                    List<String> other = new ArrayList<>(backup);
                    Path to = folder.resolve("streams-" + signal + seconds);
                    other.set(backup.size() - 1, to.toString());
                    Path part = to.resolve(partial.getFileName());
                    code = interrupted(other, part, signal, held("pwrite64:delay_exit", seconds));
                    assertFalse(Files.exists(part));
                    assertTrue(code != 0 || Files.exists(to.resolve(stream.getFileName())));
                }
                assertNotEquals(0, code);
            }
            assertNotEquals(0, interrupted(backup, partial, "KILL", STOPPED.formatted("pwrite64")));
            assertTrue(Files.exists(partial));
            Ran again = Ran.of(backup, Map.of());
            assertEquals(0, again.code(), again::err);
            assertFalse(Files.exists(partial));
            assertTrue(Files.exists(stream));
            // Neither left a metadata snapshot behind.
            String status = Ran.tool("era-dmsetup", "--control", control, "status", "vol")
                    .good()
                    .out();
            assertTrue(status.endsWith(" -\n"), status);
        } finally {
            String pid = Files.readString(folder.resolve("state/lock")).strip();
            ProcessHandle engine = ProcessHandle.of(Long.parseLong(pid)).orElseThrow();
            engine.destroy();
            engine.onExit().get(1, TimeUnit.MINUTES);
        }
    }

    private List<String> command(Case each) {
        List<String> command = new ArrayList<>();
        for (String word : each.words.split(" ", -1)) {
            boolean file = Arrays.asList("meta", "out", "out.svg", "origin", "full", "target")
                    .contains(word);
            command.add(
                    command.isEmpty() ? Distribution.BIN.resolve(word).toString() : file ? folder + "/" + word : word);
        }
        return command;
    }

    private int interrupted(Case each, String signal, String moment) throws Exception {
        return interrupted(command(each), folder.resolve(each.result + PARTIAL), signal, moment.formatted(each.write));
    }

    /** Runs a program until it is held up, sends the signal, and returns how it ended: with 0 where it had gone on before. */
    private int interrupted(List<String> command, Path partial, String signal, String injection) throws Exception {
        String call = injection.substring(0, injection.indexOf(':'));
        List<String> options =
                List.of("-P", partial.toString(), "-e", "trace=" + call, "-e", "inject=" + injection + ":when=1");
        // Who runs the tests in the background may have it ignore some.
        List<String> heeding = new ArrayList<>(List.of("env", "--default-signal=" + String.join(",", SIGNALS)));
        heeding.addAll(command);
        Process strace = new ProcessBuilder(SystemCalls.traced(folder.resolve("trace"), options, heeding))
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("said").toFile())
                .start();
        while (!isHeldUp(partial, call) && strace.isAlive()) {
            TimeUnit.MILLISECONDS.sleep(5);
        }
        Optional<ProcessHandle> program = strace.children().findFirst();
        if (program.isPresent()) {
            Ran.of(List.of("kill", "-" + signal, Long.toString(program.get().pid())), Map.of());
        }
        assertTrue(strace.waitFor(3, TimeUnit.MINUTES), () -> command + " does not end");
        return strace.exitValue();
    }

    private static boolean isHeldUp(Path partial, String call) {
        File file = partial.toFile();
        return call.equals("openat") ? file.exists() : file.length() > 0;
    }
}
