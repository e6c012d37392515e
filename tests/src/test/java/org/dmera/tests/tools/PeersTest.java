// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.format.DamageKind;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.generate.MetadataGenerator;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** thin-provisioning-tools accepts what we restore, and reads the same from it. */
class PeersTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");

    @TempDir
    private Path folder;

    private static String rust() {
        return System.getenv().getOrDefault("ERA_PEER_RUST_ROOT", "/opt/tpt-1.1.0") + "/usr/sbin/pdata_tools";
    }

    private static Ran cpp(String tool, Object... args) throws IOException, InterruptedException {
        Ran.need(Path.of("/usr/sbin/era_check"), "apt-get install thin-provisioning-tools");
        return run(List.of("/usr/sbin/" + tool), args);
    }

    private static Ran rust(String tool, Object... args) throws IOException, InterruptedException {
        Ran.need(Path.of(rust()), "tests/peers/fetch");
        return run(List.of(rust(), tool), args);
    }

    private static Ran run(List<String> program, Object... args) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(program);
        for (Object arg : args) {
            command.add(arg.toString());
        }
        return Ran.of(command, Map.of());
    }

    /**
     * The last image of each scenario, or all of them: but those that were never resumed, on which the peers fail, and
     * large ones, for which the C++ peer takes minutes.
     */
    static List<String> images() {
        Map<String, String> names = new LinkedHashMap<>();
        for (JsonNode image : Fixtures.images()) {
            String name = image.get("name").asText();
            long lines = image.get("nr_blocks").asLong()
                    * (1 + image.get("archived_writesets").size());
            if (lines > 0 && (NIGHTLY || lines < 1_000_000)) {
                names.put(NIGHTLY ? name : image.get("scenario").asText(), name);
            }
        }
        return List.copyOf(names.values());
    }

    @ParameterizedTest
    @MethodSource("images")
    void theyAcceptWhatWeMakeOfTheKernelsMetadata(String name) throws IOException, InterruptedException {
        MemoryBlockDevice image = new MemoryBlockDevice(Fixtures.imageBytes(Fixtures.image(name)));
        Path restored = folder.resolve("restored");
        try (RandomAccessFile file = new RandomAccessFile(restored.toFile(), "rw")) {
            file.setLength(16 << 20);
        }
        try (FileBlockDevice device = FileBlockDevice.open(restored, true)) {
            MetadataScanner.scan(image, MetadataRoots.read(image), new MetadataBuilder(device));
        }
        theyAgree(restored, folder);
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 1, 1", "1018, 1, 0.5, 1", "65536, 100, 0.02, 70", "300001, 5, 0.9, 200"})
    void theyAcceptWhatWeGenerate(long nrBlocks, int writesets, double density, double clustering)
            throws IOException, InterruptedException {
        Path made = folder.resolve("made");
        try (RandomAccessFile file = new RandomAccessFile(made.toFile(), "rw")) {
            file.setLength(4096 * MetadataBuilder.sufficientBlocks(nrBlocks, writesets));
        }
        try (FileBlockDevice device = FileBlockDevice.open(made, true)) {
            new MetadataGenerator(128, nrBlocks, writesets + 5, writesets, density, clustering, nrBlocks)
                    .generate(new MetadataBuilder(device));
        }
        theyAgree(made, folder);
    }

    /**
     * What they make of our dumps is sound: the C++ peer's free count, which leaves out what lies past the device's end, is
     * a note.
     */
    @ParameterizedTest
    @MethodSource("images")
    void ourCheckAcceptsWhatTheyRestore(String name) throws IOException, InterruptedException {
        byte[] image = Fixtures.imageBytes(Fixtures.image(name));
        Path metadata = Files.write(folder.resolve("metadata"), image);
        Path xml = folder.resolve("xml");
        InProcess.run("era_dump", "-o", xml, metadata);
        for (boolean cpp : new boolean[] {true, false}) {
            Path restored = Files.write(folder.resolve("restored"), new byte[image.length]);
            Ran ran = cpp
                    ? cpp("era_restore", "-i", xml, "-o", restored)
                    : rust("era_restore", "-i", xml, "-o", restored);
            assertEquals(0, ran.code(), ran::toString);
            CheckReport report = MetadataChecker.check(new MemoryBlockDevice(Files.readAllBytes(restored)));
            assertTrue(report.isClean(), report::toString);
            assertEquals(cpp ? 1 : 0, report.count(DamageKind.NR_FREE_OF_DEVICE), report::toString);
            Path again = folder.resolve("again");
            InProcess.run("era_dump", "-o", again, restored);
            assertEquals(-1, Files.mismatch(xml, again), ran.command());
        }
    }

    /** Their check finds nothing, and their dump and their list of blocks are ours. */
    private static void theyAgree(Path metadata, Path folder) throws IOException, InterruptedException {
        Path ours = folder.resolve("ours");
        Path theirs = folder.resolve("theirs");
        Ran.needLaunchers();
        InProcess.run("era_dump", "-o", ours, metadata);
        assertEquals(0, cpp("era_check", metadata).code());
        assertEquals(0, cpp("era_dump", "-o", theirs, metadata).code());
        assertEquals(-1, Files.mismatch(ours, theirs), "the C++ peer's dump");
        assertEquals(0, rust("era_check", metadata).code());
        assertEquals(0, rust("era_dump", "-o", theirs, metadata).code());
        // The Rust peer leaves out the last line's end.
        assertEquals(Files.size(ours) - 1, Files.size(theirs));
        assertEquals(Files.size(theirs), Files.mismatch(ours, theirs), "the Rust peer's dump");
        Path list = folder.resolve("list");
        InProcess.run("era_invalidate", "--written-since", 2, "-o", list, metadata);
        assertEquals(
                Files.readString(list),
                rust("era_invalidate", "--written-since", 2, metadata).good().out() + "\n");
    }
}
