// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The recorded sessions of dmsetup on a real kernel, replayed by era-dmsetup on the engine: the same outputs, errors and exit
 * codes, and the same reasons in the log. What differs is in {@link KnownDifferences}, and nowhere else.
 */
@Alone
class RecordedTranscriptsTest {
    /** The ways in which sections are replayed. Each section of the recording belongs to exactly one. */
    private enum Kind {
        /** One after another on one engine, in the order of the recording. */
        LONG_SESSION,
        /** On a metadata device that can't be written. */
        READ_ONLY,
        /** A table on blank metadata. */
        BLANK,
        /** One after another on one engine, on the metadata that the one before left. */
        USED,
        DAMAGED,
        SMALL,
        START_SECTOR,
        RELOAD
    }

    private static final Set<String> ON_USED_METADATA = Set.of(
            "metadata by major:minor",
            "block size changed on existing metadata",
            "length beyond the origin",
            "length 0",
            "length not a multiple of the block size",
            "length 1",
            "same device for metadata and origin",
            "start sector not 0 (gap)",
            "target name unknown",
            "target name upper case");

    @TempDir
    Path folder;

    /** How a section is replayed. A section that this does not know fails the test. */
    private static Kind kind(List<Transcript.Section> all, Transcript.Section section) {
        String topic = section.topic();
        return switch (topic) {
            case "version", "era numbers", "messages", "outputs" -> Kind.LONG_SESSION;
            case "misc" ->
                section.name().equals("metadata on a read-only loop device") ? Kind.READ_ONLY : Kind.LONG_SESSION;
            case "bad tables" -> {
                if (ON_USED_METADATA.contains(section.name())) {
                    yield Kind.USED;
                }
                boolean damaged = indexOf(all, section.name()) >= indexOf(all, "garbage superblock (0xAA)");
                yield damaged ? Kind.DAMAGED : Kind.BLANK;
            }
            case "bad metadata" -> Kind.DAMAGED;
            case "small metadata" -> Kind.SMALL;
            case "start sector" -> Kind.START_SECTOR;
            case "reload" -> Kind.RELOAD;
            default -> throw new AssertionError("a section that no test replays: " + section);
        };
    }

    private static int indexOf(List<Transcript.Section> all, String name) {
        for (int i = 0; i < all.size(); i++) {
            if (all.get(i).name().equals(name)) {
                return i;
            }
        }
        throw new AssertionError("the recording has no section " + name);
    }

    private static List<Transcript.Section> of(Kind kind) {
        List<Transcript.Section> all = Transcript.sections();
        return all.stream().filter(section -> kind(all, section) == kind).toList();
    }

    @Test
    void everyRecordedSectionIsReplayedAndEveryListedDifferenceIsInTheRecording() throws IOException {
        List<Transcript.Section> all = Transcript.sections();
        int replayed = 0;
        for (Kind kind : Kind.values()) {
            assertTrue(!of(kind).isEmpty(), () -> "nothing is replayed as " + kind);
            replayed += of(kind).size();
        }
        assertEquals(all.size(), replayed);
        assertEquals(List.of(), KnownDifferences.notIn(all));
        assertEquals(
                Set.of("dmsetup/kernel-6.1.192.txt", "dmsetup/suspended-hangs.txt", "ioctl/dmsetup-6.1.log.xz"),
                recordings(),
                "files: by this test, SuspendedDeviceTest, RecordedSessionsTest");
    }

    private static Set<String> recordings() throws IOException {
        Set<String> files = new TreeSet<>();
        for (String name : List.of("dmsetup", "ioctl")) {
            try (Stream<Path> list = Files.walk(Fixtures.folder().resolve(name))) {
                list.filter(Files::isRegularFile)
                        .map(file -> Fixtures.folder().relativize(file).toString())
                        .forEach(files::add);
            }
        }
        return files;
    }

    @Test
    void theLongSessionGivesTheRecordedOutputs() throws IOException {
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            for (Transcript.Section section : of(Kind.LONG_SESSION)) {
                if (section.name().equals("remove while open; deferred remove")) {
                    replayWhileOpen(engine, section);
                } else {
                    engine.replay(section);
                }
            }
        }
    }

    /** Somebody has the device open until the recording says that it is gone. */
    private static void replayWhileOpen(TranscriptReplay engine, Transcript.Section section) throws IOException {
        MappedDevice open = engine.device();
        open.open();
        for (Transcript.Step step : section.steps()) {
            if (step.stderr().contains("Device does not exist.")) {
                open.close();
                while (!engine.registry().devices().isEmpty()
                        || engine.registry().isRemoving()) {
                    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
                }
            }
            engine.replay(section, step);
        }
    }

    static List<Transcript.Section> blank() {
        return of(Kind.BLANK);
    }

    @ParameterizedTest
    @MethodSource("blank")
    void tablesOnBlankMetadataAreTakenAndRefusedWithTheKernelsReasons(Transcript.Section section) throws IOException {
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            engine.replay(section);
            assertEquals(List.of(), engine.registry().devices());
        }
    }

    @Test
    void tablesOnMetadataThatWasUsedBeforeAreTakenAndRefusedWithTheKernelsReasons() throws IOException {
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            for (Transcript.Section section : of(Kind.USED)) {
                if (section.name().equals("length beyond the origin")) {
                    assertRefusedUntilTheOriginIsLongEnough(engine);
                }
                engine.replay(section);
                assertEquals(List.of(), engine.registry().devices(), section.title());
            }
        }
    }

    /** The kernel takes a table that goes beyond the origin; the engine does not. */
    private static void assertRefusedUntilTheOriginIsLongEnough(TranscriptReplay engine) throws IOException {
        String why = engine.refusal("dmsetup create erab --table '0 65544 era /dev/loop0 /dev/loop1 8'");
        assertTrue(why.contains("Target of 65544 sectors is longer than the origin of 65536 (-EINVAL)"), why);
        engine.resizeOrigin(65_544);
    }

    static List<Transcript.Section> damaged() {
        return of(Kind.DAMAGED);
    }

    @ParameterizedTest
    @MethodSource("damaged")
    void damagedSuperblocksAreTakenAndRefusedAsByTheKernel(Transcript.Section section) throws IOException {
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            engine.run("dmsetup create era --table '0 65536 era /dev/loop0 /dev/loop1 8'");
            for (long block : new long[] {0, 5, 8000}) {
                engine.write(block * TranscriptReplay.BLOCK_BYTES, 512);
            }
            engine.run("dmsetup message era 0 checkpoint");
            engine.run("dmsetup status era");
            engine.run("dmsetup status era");
            engine.run("dmsetup remove era");
            DamagedSuperblocks.damage(engine.metadata(), section.name());
            engine.replay(section);
            assertEquals(List.of(), engine.registry().devices());
        }
    }

    /** By the size of the metadata device; the attempt to create, and that nothing is left of it. */
    static Stream<List<Transcript.Section>> small() {
        Map<String, List<Transcript.Section>> bySize = of(Kind.SMALL).stream()
                .collect(Collectors.groupingBy(
                        section -> section.name().replaceFirst(" KiB.*", ""), LinkedHashMap::new, Collectors.toList()));
        return bySize.values().stream();
    }

    @ParameterizedTest
    @MethodSource("small")
    void metadataThatIsTooSmallFailsAtTheSameStepWithTheSameError(List<Transcript.Section> sections)
            throws IOException {
        int kib = Integer.parseInt(sections.get(0).name().replaceFirst(" KiB.*", ""));
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            engine.resizeMetadata(kib * 2L);
            for (Transcript.Section section : sections) {
                engine.replay(section);
                assertEquals(List.of(), engine.registry().devices());
            }
        }
    }

    @Test
    void aTargetThatStartsInTheMiddleGetsItsMessagesAndItsWrites() throws IOException {
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            for (Transcript.Section section : of(Kind.START_SECTOR)) {
                engine.replay(section);
            }
        }
    }

    static List<Transcript.Section> reload() {
        return of(Kind.RELOAD);
    }

    @ParameterizedTest
    @MethodSource("reload")
    void aReloadGivesTheRecordedFiguresAndLosesNoWrite(Transcript.Section section) throws IOException {
        String name = section.steps().get(0).command().split(" ", -1)[2];
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            int[] eras = new int[16_384];
            engine.resizeOrigin(131_072);
            // What came before is not in the transcript; its figures tell that in era 2 one block of the array was
            // concerned.
            engine.run("dmsetup create " + name + " --table '0 65536 era /dev/loop0 /dev/loop1 8'");
            write(engine, eras, 5, 6001, 8000);
            engine.run("dmsetup message " + name + " 0 checkpoint");
            engine.run("dmsetup status " + name);
            engine.run("dmsetup status " + name);
            write(engine, eras, 6000, 6001);
            boolean isWritten = section.name().contains("+writes");
            for (Transcript.Step step : section.steps()) {
                if (step.command().startsWith("dmsetup resume") && isWritten) {
                    writeEverywhere(engine, eras);
                }
                if (step.command().startsWith("dmsetup remove")) {
                    assertArrayEquals(eras, engine.eras(), "the era of each block's last write");
                }
                engine.replay(section, step);
                if (step.command().startsWith("dmsetup reload") && isWritten) {
                    writeEverywhere(engine, eras);
                }
            }
        }
    }

    /** Writes in the current era, into every block of the array of eras. */
    private static void writeEverywhere(TranscriptReplay engine, int[] eras) throws IOException {
        int[] blocks = new int[51];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = i * 163 + engine.currentEra();
        }
        write(engine, eras, blocks);
    }

    private static void write(TranscriptReplay engine, int[] eras, int... blocks) throws IOException {
        for (int block : blocks) {
            engine.write((long) block * TranscriptReplay.BLOCK_BYTES, 512);
            eras[block] = engine.currentEra();
        }
    }

    @Test
    void metadataThatCanNotBeWrittenFailsAtTheResume() throws Exception {
        boolean isRoot = "root".equals(System.getProperty("user.name"));
        boolean canLoop = isRoot && Files.exists(Path.of("/dev/loop-control"));
        assertTrue(canLoop || !"true".equals(System.getenv("CI")), "needs root and /dev/loop-control");
        assumeTrue(canLoop, "needs root and /dev/loop-control");
        try (TranscriptReplay engine = new TranscriptReplay(folder)) {
            engine.run("dmsetup create era0 --table '0 65536 era /dev/loop0 /dev/loop1 8'");
            engine.run("dmsetup remove era0");
            String loop = losetup("-r", "-f", "--show", engine.metadata().toString());
            try {
                engine.useMetadata(Path.of(loop));
                for (Transcript.Section section : of(Kind.READ_ONLY)) {
                    engine.replay(section);
                }
            } finally {
                losetup("-d", loop);
            }
        }
    }

    private static String losetup(String... words) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("/usr/sbin/losetup"));
        command.addAll(List.of(words));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertEquals(0, process.waitFor(), said);
        return said;
    }
}
