// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.dmera.dmsetup.cli.ShellWords;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The recorded sessions of dmsetup on a real kernel, replayed by era-dmsetup on the engine: the same outputs, errors and exit
 * codes, and the same reasons in the log. Loop devices are files here, so {@code 7:0} is a path; the major number is ours.
 */
class RecordedTranscriptsTest {
    /** Commands of dmsetup that era-dmsetup does not have, or whose output must differ, each with the reason. */
    private static final Map<String, String> SKIPPED = Map.of(
            "dmsetup targets", "the recorded kernel had no zero target loaded; the engine always has one",
            "dmsetup info -c -o all", "lists I/O statistics too, which the engine does not keep",
            "dmsetup mangle era0", "no such command",
            "dmsetup measure era0", "no such command",
            "dmsetup stats list era0", "no such command",
            "dmsetup udevcookies", "no such command: era-dmsetup uses no cookies");

    /** Sections where the engine differs on purpose, or that need what this test does not have. */
    private static final Map<String, String> SKIPPED_SECTIONS = Map.of(
            "[misc] second era device on the same metadata and origin (NOT refused?)",
            "the engine refuses it: two era targets on one metadata device destroy it",
            "[misc] metadata on a read-only loop device",
            "a file can't be made read-only for root");

    /**
     * The kernel goes on with the roots that it read when the table was loaded, and loses what the suspend archived
     * after that; the engine reads them again, and digests what was archived one command earlier.
     */
    private static final Map<String, Map<String, String>> AFTER_STALE_ROOTS = Map.of(
            "[era numbers] reload same table while active, resume (implicit suspend); nothing in between",
            Map.of("0 65536 era 8 19/1024 9 -", "0 65536 era 8 21/1024 9 -"),
            "[era numbers] rename",
            Map.of("0 65536 era 8 21/1024 9 -", "0 65536 era 8 17/1024 9 -"),
            "[messages] odd messages",
            Map.of("0 65536 era 8 20/1024 11 36", "0 65536 era 8 20/1024 11 33"));

    /**
     * The kernel's status of an inactive table commits; the engine's only reads. So the first snapshot of the long
     * session lies two blocks lower.
     */
    private static final String SNAPSHOT_AFTER_INACTIVE_STATUS = "(/1024 [34]) 38$";

    private static final String LAST_OF_FIRST_SESSION = "[misc] create --readonly";

    @TempDir
    Path folder;

    private final ByteArrayOutputStream log = new ByteArrayOutputStream();
    private Path metadata;
    private Path origin;
    private Path other;

    @BeforeEach
    void makeFiles() throws IOException {
        metadata = folder.resolve("metadata");
        origin = folder.resolve("origin");
        other = folder.resolve("other");
        TestEngine.makeFile(metadata, 8192);
        TestEngine.makeFile(origin, 65_536);
        TestEngine.makeFile(other, 65_536);
    }

    private TestEngine engine() throws IOException {
        return new TestEngine(
                folder,
                new EngineLog(new PrintStream(log, true, StandardCharsets.UTF_8), EngineLog.Level.WARNING, false));
    }

    @Test
    void theLongSessionGivesTheRecordedOutputs() throws IOException {
        try (TestEngine engine = engine()) {
            DmSetupOnEngine dmsetup = new DmSetupOnEngine(engine);
            for (Transcript.Section section : Transcript.sections()) {
                if (!SKIPPED_SECTIONS.containsKey(section.title())) {
                    boolean whileOpen = section.title().equals("[misc] remove while open; deferred remove");
                    replay(section, engine, dmsetup, whileOpen);
                }
                if (section.title().equals(LAST_OF_FIRST_SESSION)) {
                    return;
                }
            }
        }
    }

    static Stream<Transcript.Section> badTables() {
        return Transcript.sections().stream()
                .filter(s -> s.title().startsWith("[bad tables]"))
                // These need metadata that are damaged in a certain way.
                .takeWhile(s -> !s.title().contains("garbage superblock"))
                // The next ones the kernel takes, wrongly, and the engine refuses: see the next test.
                .filter(s -> !s.title().matches(".*(4294967304|length beyond|same device|metadata by major).*"))
                // Recorded on metadata that an earlier case left behind.
                .filter(s -> !s.title().matches(".*(block size changed|length not|length 1$).*"));
    }

    @ParameterizedTest
    @MethodSource("badTables")
    void badTablesAreRefusedWithTheKernelsReasons(Transcript.Section section) throws IOException {
        try (TestEngine engine = engine()) {
            replay(section, engine, new DmSetupOnEngine(engine), false);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "0 65536 era META ORIGIN 4294967304",
                "0 65544 era META ORIGIN 8",
                "0 8192 era META META 8",
            })
    void tablesThatTheKernelTakesWronglyAreRefused(String table) throws IOException {
        try (TestEngine engine = engine()) {
            String here = table.replace("META", metadata.toString()).replace("ORIGIN", origin.toString());
            DmSetupOnEngine.Result result =
                    new DmSetupOnEngine(engine).run(List.of("create", "erab", "--table", here), "");
            assertEquals(1, result.exit());
            assertEquals(
                    List.of("device-mapper: reload ioctl on erab (120:0) failed: Invalid argument", "Command failed."),
                    result.stderr());
            assertEquals(List.of(), engine.registry().devices());
        }
    }

    static Stream<Transcript.Section> smallMetadata() {
        return Transcript.sections().stream()
                .filter(s -> s.title().matches("\\[small metadata\\] .*metadata device.*"));
    }

    @ParameterizedTest
    @MethodSource("smallMetadata")
    void metadataThatAreTooSmallFailAtTheSameStepWithTheSameError(Transcript.Section section) throws IOException {
        int kib = Integer.parseInt(section.title().replaceFirst(".*\\] (\\d+) KiB.*", "$1"));
        Files.delete(metadata);
        TestEngine.makeFile(metadata, kib * 2L);
        try (TestEngine engine = engine()) {
            replay(section, engine, new DmSetupOnEngine(engine), false);
            assertEquals(List.of(), engine.registry().devices());
        }
    }

    @Test
    void aTargetThatStartsInTheMiddleGetsItsMessagesAndItsWrites() throws IOException {
        try (TestEngine engine = engine()) {
            DmSetupOnEngine dmsetup = new DmSetupOnEngine(engine);
            for (Transcript.Section section : Transcript.sections()) {
                if (section.title().startsWith("[start sector]")) {
                    replay(section, engine, dmsetup, false);
                }
            }
        }
    }

    private void replay(Transcript.Section section, TestEngine engine, DmSetupOnEngine dmsetup, boolean whileOpen)
            throws IOException {
        MappedDevice open = whileOpen ? engine.registry().devices().get(0) : null;
        if (open != null) {
            open.open();
        }
        for (Transcript.Step step : section.steps()) {
            if (!step.isDmsetup()) {
                write(engine, dmsetup, step);
            } else if (!SKIPPED.containsKey(step.command())) {
                if (open != null && step.stderr().contains("Device does not exist.")) {
                    open.close();
                    awaitRemoval(engine);
                }
                run(section, step, dmsetup);
            }
        }
    }

    private static void awaitRemoval(TestEngine engine) {
        while (!engine.registry().devices().isEmpty() || engine.registry().isRemoving()) {
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
        }
    }

    private void run(Transcript.Section section, Transcript.Step step, DmSetupOnEngine dmsetup) {
        log.reset();
        ShellWords line = ShellWords.of(withFiles(step.command()));
        List<String> words = new ArrayList<>(line.words());
        if (words.contains("--tree") && !words.contains("-o")) {
            // The recording was made in a UTF-8 locale.
            words.addAll(List.of("-o", "utf"));
        }
        if (step.command().endsWith(" 0 ") || step.command().endsWith(" 0  ")) {
            // An empty word is lost in the recording's way of writing.
            words.add("");
        }
        DmSetupOnEngine.Result result = dmsetup.run(words, line.stdin());
        String where = section.title() + ": " + step.command();
        assertEquals(expectedStdout(section, step), printed(result.stdout()), where);
        assertEquals(expectedStderr(step), result.stderr(), where);
        assertEquals(Integer.parseInt(step.result()), result.exit(), where);
        for (String reason : step.kernelLog()) {
            String inOurLog = reason.replace("device-mapper: table: 253:", "table: 120:");
            if (reason.startsWith("device-mapper: table: 253:") && !reason.contains("preresume failed")) {
                assertTrue(
                        log.toString(StandardCharsets.UTF_8).contains(inOurLog),
                        () -> where + ": \"" + inOurLog + "\" is not in the log: " + log);
            }
        }
    }

    private String withFiles(String text) {
        return text.replace("/dev/loop0", metadata.toString())
                .replace("/dev/loop1", origin.toString())
                .replace("/dev/loop2", other.toString());
    }

    /** The recorded output in this test's terms: paths for loop devices, our major, and files have no device numbers. */
    private List<String> expectedStdout(Transcript.Section section, Transcript.Step step) {
        List<String> expected = new ArrayList<>();
        for (String recorded : step.stdout()) {
            if (recorded.matches(" [├└|`].*\\(7:\\d\\)")) {
                // A branch of a tree that leads to a file, which has no number to be shown by.
                continue;
            }
            String ours =
                    AFTER_STALE_ROOTS.getOrDefault(section.title(), Map.of()).getOrDefault(recorded, recorded);
            expected.add(ours.replaceFirst(SNAPSHOT_AFTER_INACTIVE_STATUS, "$1 36")
                    .replace("2 dependencies\t: (7, 1) (7, 0)", "0 dependencies\t:")
                    .replace("2 dependencies\t: (loop1) (loop0)", "0 dependencies\t:")
                    .replace("|7:1,7:0|", "||")
                    .replace(" <dm-0>", "")
                    .replace(" 253   0 ", " 120   0 ")
                    .replace("era0|253|", "era0|120|")
                    .replace("253:", "120:")
                    .replace("(253, ", "(120, ")
                    .replace("Major, minor:      253", "Major, minor:      120")
                    .replace("7:0", metadata.toString())
                    .replace("7:1", origin.toString())
                    .replace("7:2", other.toString()));
        }
        return expected;
    }

    /** Without the blank lines that the transcripts don't show. */
    private static List<String> printed(List<String> lines) {
        return lines.stream().filter(line -> !line.isEmpty()).toList();
    }

    /** The recorded errors, without libdevmapper's remark that there is no node in /dev/mapper. */
    private static List<String> expectedStderr(Transcript.Step step) {
        return step.stderr().stream()
                .filter(line -> !line.endsWith(": open failed: No such file or directory"))
                .map(line -> line.replace("(253:", "(120:"))
                .toList();
    }

    /** {@code WRITE 512 B to block N}. */
    private static void write(TestEngine engine, DmSetupOnEngine dmsetup, Transcript.Step step) throws IOException {
        String[] words = step.command().split(" ", -1);
        long block = Long.parseLong(words[5]);
        MappedDevice device = engine.registry().devices().get(0);
        // Block numbers of the recording count 4 KiB, whatever the table says.
        device.io().write(block * 4096, ByteBuffer.allocate(512), 0);
        dmsetup.awaitRest();
    }
}
