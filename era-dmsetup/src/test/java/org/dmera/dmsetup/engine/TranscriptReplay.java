// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.dmsetup.cli.ShellWords;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.EraTarget;

/**
 * An engine on which recorded sections are replayed by era-dmsetup: each command must give the recorded output, errors and
 * exit code, and the same reasons in the log. Loop devices are files here, so {@code 7:0} is a path; the major number
 * is the engine's.
 */
final class TranscriptReplay implements Closeable {
    /** Block numbers of the recordings' writes count 4 KiB, whatever the table says. */
    static final int BLOCK_BYTES = 4096;

    private static final String KERNELS_TABLE = "device-mapper: table: 253:";
    private static final Pattern LOOPS = Pattern.compile("(?:/dev/loop|\\b7:)([012])\\b");
    private static final long METADATA_SECTORS = 8192;
    private static final long ORIGIN_SECTORS = 65_536;

    private final ByteArrayOutputStream log = new ByteArrayOutputStream();
    private final TestEngine engine;
    private final DmSetupOnEngine dmsetup;
    private Path metadata;
    final Path origin;
    private final Path other;

    TranscriptReplay(Path folder) throws IOException {
        engine = new TestEngine(
                folder,
                new EngineLog(
                        new PrintStream(log, true, StandardCharsets.UTF_8),
                        EngineLog.Level.WARNING,
                        EngineLog.Form.PLAIN));
        dmsetup = new DmSetupOnEngine(engine);
        metadata = engine.file("metadata", METADATA_SECTORS);
        origin = engine.file("origin", ORIGIN_SECTORS);
        other = engine.file("other", ORIGIN_SECTORS);
    }

    DeviceRegistry registry() {
        return engine.registry();
    }

    /** The one device that there is. */
    MappedDevice device() {
        return registry().devices().get(0);
    }

    /** The file or device that stands for {@code /dev/loop0}. */
    Path metadata() {
        return metadata;
    }

    /** Has another one stand for it. */
    void useMetadata(Path device) {
        metadata = device;
    }

    void resizeMetadata(long sectors) throws IOException {
        TestEngine.makeFile(metadata, sectors);
    }

    void resizeOrigin(long sectors) throws IOException {
        TestEngine.makeFile(origin, sectors);
    }

    /** Replays the steps of a section. */
    void replay(Transcript.Section section) throws IOException {
        if (KnownDifferences.isRefused(section)) {
            command(section, section.steps().get(0));
            return;
        }
        for (Transcript.Step step : section.steps()) {
            replay(section, step);
        }
    }

    /** Replays one step of a section. */
    void replay(Transcript.Section section, Transcript.Step step) throws IOException {
        if (!step.isDmsetup()) {
            // WRITE 512 B to block N
            write(Long.parseLong(step.command().split(" ", -1)[5]) * BLOCK_BYTES, 512);
        } else if (!KnownDifferences.COMMANDS.containsKey(step.command())) {
            command(section, step);
        }
    }

    private void command(Transcript.Section section, Transcript.Step step) throws IOException {
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
        Transcript.Step expected = KnownDifferences.apply(section, step);
        String where = section.title() + ": " + step.command() + " (log: " + logged() + ")";
        List<String> stdout = printed(result.stdout());
        if (step.command().matches("dmsetup status [\\w-]+")
                && registry().devices().size() == 1) {
            stdout = dmsetup.answered(device().name(), stdout);
        }
        assertEquals(stdout(expected), stdout, where);
        assertEquals(stderr(expected), result.stderr(), where);
        assertEquals(Integer.parseInt(expected.result()), result.exit(), where);
        for (String reason : expected.kernelLog()) {
            if (reason.startsWith(KERNELS_TABLE)) {
                assertLogged(reason.replace(KERNELS_TABLE, "table: 120:"), where);
            } else if (KnownDifferences.isRefused(section)) {
                assertLogged(reason, where);
            }
        }
    }

    private void assertLogged(String reason, String where) {
        assertTrue(logged().contains(reason), () -> where + ": \"" + reason + "\" is not in the log");
    }

    /** What the engine has logged since the last command began. */
    String logged() {
        return log.toString(StandardCharsets.UTF_8);
    }

    /** Runs commands of a test's own, which must succeed. */
    List<String> run(String command) {
        ShellWords line = ShellWords.of(withFiles(command));
        DmSetupOnEngine.Result result = dmsetup.run(line.words(), line.stdin());
        assertEquals(0, result.exit(), () -> command + ": " + result.stderr() + logged());
        return result.stdout();
    }

    /** Runs a command of a test's own, which must fail for a bad parameter; what the log says of it. */
    String refusal(String command) {
        log.reset();
        DmSetupOnEngine.Result result =
                dmsetup.run(ShellWords.of(withFiles(command)).words(), "");
        assertEquals(1, result.exit(), command);
        assertTrue(result.stderr().get(0).endsWith(" failed: Invalid argument"), result.toString());
        return logged();
    }

    int currentEra() throws IOException {
        int[] era = new int[1];
        device().onTarget(0, target -> {
            era[0] = ((EraTarget) target).currentEra();
            return null;
        });
        return era[0];
    }

    /** The era of each block's last write, as the one device's metadata has it. */
    int[] eras() throws IOException {
        long bytes = device().io().sizeBytes();
        int[] eras = new int[(int) (bytes / BLOCK_BYTES)];
        int[] at = new int[1];
        device().io().lastWritten(0, bytes, null, (length, era) -> {
            for (long i = 0; i < length; i += BLOCK_BYTES) {
                eras[at[0]++] = era;
            }
            return true;
        });
        return eras;
    }

    /** Writes zeroes to the one device. */
    void write(long offsetBytes, int bytes) throws IOException {
        device().io().write(offsetBytes, ByteBuffer.allocate(bytes), 0);
        dmsetup.awaitRest();
    }

    private String withFiles(String text) {
        Path[] files = {metadata, origin, other};
        // All at once: what stands for one of them may be a loop device itself, of any of these numbers.
        return LOOPS.matcher(text)
                .replaceAll(found -> Matcher.quoteReplacement(files[Integer.parseInt(found.group(1))].toString()));
    }

    /** The recorded output in this test's terms: paths for loop devices, our major, and files have no device numbers. */
    private List<String> stdout(Transcript.Step step) {
        List<String> expected = new ArrayList<>();
        for (String recorded : step.stdout()) {
            if (recorded.matches(" [├└|`].*\\(7:\\d\\)")) {
                // A branch of a tree that leads to a file, which has no number to be shown by.
                continue;
            }
            expected.add(withFiles(recorded.replace("2 dependencies\t: (7, 1) (7, 0)", "0 dependencies\t:")
                    .replace("2 dependencies\t: (loop1) (loop0)", "0 dependencies\t:")
                    .replace("|7:1,7:0|", "||")
                    .replace(" <dm-0>", "")
                    .replace(" 253   0 ", " 120   0 ")
                    .replace("era0|253|", "era0|120|")
                    .replace("253:", "120:")
                    .replace("(253, ", "(120, ")
                    .replace("Major, minor:      253", "Major, minor:      120")));
        }
        return expected;
    }

    /** Without the blank lines that the transcripts don't show. */
    private static List<String> printed(List<String> lines) {
        return lines.stream().filter(line -> !line.isEmpty()).toList();
    }

    /** The recorded errors, without libdevmapper's remark that there is no node in /dev/mapper. */
    private static List<String> stderr(Transcript.Step step) {
        return step.stderr().stream()
                .filter(line -> !line.endsWith(": open failed: No such file or directory"))
                .map(line -> line.replace("(253:", "(120:"))
                .toList();
    }

    @Override
    public void close() throws IOException {
        engine.close();
    }
}
