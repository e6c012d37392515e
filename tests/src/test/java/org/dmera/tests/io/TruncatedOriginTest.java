// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.dmsetup.backup.BackupCommand;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An origin that was cut off beneath its device: nobody who copies it gets zeroes for what is gone, and hears that all is well. */
@Timeout(300)
class TruncatedOriginTest {
    private static final int MIB = 1 << 20;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final int SIZE_MIB = 16;

    @TempDir
    private Path folder;

    private TestEngine engine;
    private MappedDevice device;
    private String uri;
    private String era;
    private final String pull =
            Fixtures.projectRoot().resolve("docs/examples/nbd-pull").toString();

    /** Backups of all kinds of the whole device, and a write after them to the first MiB and to the last. */
    @BeforeEach
    void start() throws Exception {
        Host.need("qemu-img", "qemu-io", "nbdinfo", "nbdcopy");
        engine = new TestEngine(folder);
        device = engine.createEra("vol", SIZE_MIB);
        uri = engine.uri("vol");
        write(0);
        write(SIZE_MIB - 1);
        TestEngine.checkpoint(device);
        era = Long.toString(device.io().currentEra());
        Host.run(folder, pull, uri, "-", "full.qcow2").good();
        program(0, new BackupCommand(), backup("streams"));
        write(0);
        write(SIZE_MIB - 1);
        TestEngine.checkpoint(device);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private void write(int mib) throws IOException {
        byte[] data = new byte[BLOCK];
        new Random(mib).nextBytes(data);
        try (WireClient client = WireClient.open(folder.resolve("nbd"), "vol")) {
            assertEquals(0, client.write((long) mib * MIB + 8 * BLOCK, data));
        }
    }

    private String[] backup(String streams) {
        String to = folder.resolve(streams).toString();
        return new String[] {"--control", folder.resolve("control").toString(), "vol", "--to", to};
    }

    /** Its output, after it ended as expected. */
    private static String program(int code, Command command, String... words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(out, true, StandardCharsets.UTF_8);
        int ended = CommandLine.run(command, words, InputStream.nullInputStream(), out, err);
        String text = out.toString(StandardCharsets.UTF_8);
        assertEquals(code, ended, text);
        return text;
    }

    private void truncate(long bytes) throws IOException {
        try (RandomAccessFile file =
                new RandomAccessFile(folder.resolve("vol.data").toFile(), "rw")) {
            file.setLength(bytes);
        }
    }

    private Set<String> results() throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.map(Path::toString)
                    .filter(name -> name.matches(".*\\.(qcow2|erastream|partial)"))
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }

    private void assertNobodyCopies() throws Exception {
        Set<String> before = results();
        for (List<String> copy : List.of(
                List.of("qemu-img", "convert", "-f", "raw", "-O", "raw", uri, "raw"),
                List.of("qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, "image"),
                List.of("nbdcopy", uri, "raw"),
                List.of("nbdcopy", "--synchronous", uri, "raw"),
                List.of("nbdcopy", "--allocated", uri, "raw"),
                List.of(pull, uri, "-", "other.qcow2"),
                List.of(pull, uri, "full.qcow2", "next.qcow2", era))) {
            Host.Result result = Host.run(folder, copy.toArray(String[]::new));
            assertNotEquals(0, result.exitCode(), () -> copy + result.out());
            assertTrue(result.err().contains("nput/output error"), () -> copy + result.err());
        }
        List<String[]> ours = List.of(backup("others"), backup("streams"));
        for (String[] words : ours) {
            List<String> said = program(1, new BackupCommand(), words).lines().toList();
            assertTrue(said.get(said.size() - 1).endsWith("failed: EIO"), said.toString());
        }
        String meta = folder.resolve("vol.meta").toString();
        program(
                1,
                Commands.find("era_copy"),
                "--full",
                "-m",
                meta,
                folder + "/vol.data",
                "-o",
                folder + "/c.erastream");
        assertEquals(before, results());
        String map = Host.run(folder, "nbdinfo", "--map", uri).good();
        long end = folder.resolve("vol.data").toFile().length();
        for (String line : map.lines().toList()) {
            String[] words = line.strip().split(" +", -1);
            long to = Long.parseLong(words[0]) + Long.parseLong(words[1]);
            assertFalse(to > end && !words[2].equals("0"), map);
        }
    }

    @Test
    void nobodyCopiesZeroesForWhatIsGone() throws Exception {
        truncate(8 * MIB);
        assertNobodyCopies();
    }

    @Test
    void norWhenItEndsInTheMiddleOfABlock() throws Exception {
        truncate((SIZE_MIB - 1) * MIB + 8 * BLOCK + 700);
        assertNobodyCopies();
    }
}
