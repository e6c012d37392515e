// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.Zstd;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What users of thin-provisioning-tools and of the usual compressors rely on. */
class PeerHabitsTest {
    @TempDir
    private Path folder;

    private Path meta;

    @BeforeEach
    void copyMetadata() throws IOException {
        meta = Files.write(folder.resolve("meta"), image());
    }

    private static byte[] image() {
        return Fixtures.imageBytes(Fixtures.image("e_crash_bs24.crash"));
    }

    @Test
    void aRepairingDumpFoldsWritesetsLikeAnyOther() {
        assertEquals(
                ToolRun.of("era_dump", "--logical", meta).text(),
                ToolRun.of("era_dump", "--repair", "--logical", meta).text());
    }

    @Test
    void hiddenOptionsOfThePeersAreTakenAndChangeNothing() throws IOException {
        String xml = ToolRun.of("era_dump", meta).text();
        assertEquals(xml, ToolRun.of("era_dump", "--io-engine", "sync", meta).text());
        assertEquals(
                ToolRun.of("era_invalidate", "--written-since", 2, meta).text(),
                ToolRun.of("era_invalidate", "--io-engine=async", "--written-since", "+2", meta)
                        .text());
        assertEquals(
                "", ToolRun.of("era_check", "-v", "--io-engine=async", meta).text());
        Path dump = Files.writeString(folder.resolve("xml"), xml);
        Path output = Files.write(folder.resolve("out"), new byte[image().length]);
        ToolRun.of("era_restore", "-v", "-i", dump, "-o", output).text();
        assertEquals(xml, ToolRun.of("era_dump", output).text());
        ToolRun.of("era_repair", "-v", "-i", meta, "-o", output).text();
    }

    @Test
    void optionsWithoutTheirPartnerAreRefused() throws IOException {
        for (String hint : new String[] {"block-size=8", "nr-blocks=9", "current-era=9"}) {
            ToolRun.of("era_dump", "--" + hint, meta)
                    .refused("--" + hint.substring(0, hint.indexOf('=')), "needs --repair");
        }
        for (String other :
                new String[] {"--full", "--metadata=" + meta, "--since=1", "--identity=x", "--base-size=1"}) {
            ToolRun.of("era_copy", "--merge", other, "a", "b").refused("--merge makes one stream of others");
        }
        Path origin = Files.write(folder.resolve("origin"), new byte[4096]);
        ToolRun.of("era_copy", "--full", "--bwlimit=0", "-m", meta, origin).failed("--bwlimit <RATE>");
        ToolRun.of("era_copy", "--full", "--compress=none", "--level=3", "-m", meta, origin)
                .failed("--level <N>");
        ToolRun.of("era_copy", "--full", "--identity=", "-m", meta, "origin")
                .failed("a value is required for '--identity <TEXT>'");
        ToolRun.of("era_copy", "--full", "--base-size=4k", "-m", meta, "origin").refused("--base-size is for --since");
    }

    @Test
    void aVolumeThatWasExtendedIsSoundAndStaysSo() throws IOException {
        Files.write(meta, Arrays.copyOf(image(), image().length + (1 << 20)));
        assertTrue(ToolRun.of("era_check", meta).text().startsWith("note: "));
        ToolRun.of("era_check", "--auto-repair", meta).text();
        assertEquals("", ToolRun.of("era_check", meta).text());
    }

    @Test
    void aGapInTheErasIsRestoredAndFoundClean() throws IOException {
        Path xml = Files.writeString(folder.resolve("gap"), """
                <superblock uuid="" block_size="8" nr_blocks="4" current_era="9">
                  <writeset era="3" nr_bits="4"><marked block_begin="0" len="1"/></writeset>
                  <writeset era="8" nr_bits="4"><marked block_begin="1" len="1"/></writeset>
                  <era_array>
                    <era block="0" era="9"/><era block="1" era="1"/><era block="2" era="1"/><era block="3" era="1"/>
                  </era_array>
                </superblock>
                """);
        Path output = Files.write(folder.resolve("out"), new byte[1 << 20]);
        ToolRun.of("era_restore", "-i", xml, "-o", output).text();
        assertTrue(ToolRun.of("era_check", output).text().contains("there is no writeset of eras 4 to 7"));
        assertEquals(
                "0 4096\n",
                ToolRun.of("era_invalidate", "--written-since", 9, "--format", "ranges", output)
                        .text());
        assertTrue(ToolRun.of("era_dump", "--logical", output).text().contains("<era block=\"0\" era=\"9\"/>"));
        Path repaired = Files.write(folder.resolve("repaired"), new byte[1 << 20]);
        ToolRun.of("era_repair", "-i", output, "-o", repaired).text();
        assertEquals(
                ToolRun.of("era_dump", output).text(),
                ToolRun.of("era_dump", repaired).text());
    }

    @Test
    void gzipOfSeveralMembersIsReadToItsEndHoweverSlowlyItComes() throws IOException {
        String xml = ToolRun.of("era_dump", meta).text();
        ByteArrayOutputStream members = new ByteArrayOutputStream();
        byte[] text = xml.getBytes(StandardCharsets.UTF_8);
        for (int from = 0; from < text.length; from += text.length / 3 + 1) {
            try (GZIPOutputStream member = new GZIPOutputStream(members)) {
                member.write(text, from, Math.min(text.length / 3 + 1, text.length - from));
            }
        }
        assertRestores(xml, members.toByteArray());
    }

    @Test
    void gzipThatIsCutIsRefusedByItsName() throws IOException {
        byte[] compressed;
        try (ByteArrayOutputStream whole = new ByteArrayOutputStream()) {
            try (GZIPOutputStream gzip = new GZIPOutputStream(whole)) {
                gzip.write(ToolRun.of("era_dump", meta).product());
            }
            compressed = whole.toByteArray();
        }
        Path output = Files.write(folder.resolve("out"), new byte[image().length]);
        for (int length : new int[] {2, 9, 100, compressed.length - 1}) {
            Path cut = Files.write(folder.resolve("cut.gz"), Arrays.copyOf(compressed, length));
            ToolRun.of("era_restore", "-i", cut, "-o", output).refused(cut + ": ", "nexpected end of ");
        }
    }

    @Test
    void zstdThatBeginsWithASkippableFrameIsRead() throws IOException {
        String xml = ToolRun.of("era_dump", meta).text();
        byte[] text = xml.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream frames = new ByteArrayOutputStream();
        for (int from = 0; from < text.length; from += text.length / 2 + 1) {
            byte[] frame =
                    Zstd.compress(Arrays.copyOfRange(text, from, Math.min(text.length, from + text.length / 2 + 1)));
            // As pzstd has it: a frame of four bytes to be skipped, which tells the length of the next.
            frames.writeBytes(new byte[] {0x50, 0x2A, 0x4D, 0x18, 4, 0, 0, 0});
            frames.writeBytes(new byte[] {
                (byte) frame.length,
                (byte) (frame.length >> 8),
                (byte) (frame.length >> 16),
                (byte) (frame.length >> 24)
            });
            frames.writeBytes(frame);
        }
        assertRestores(xml, frames.toByteArray());
    }

    /** From a file, and from a pipe in which nothing is ever available before it is read. */
    private void assertRestores(String xml, byte[] compressed) throws IOException {
        Path output = Files.write(folder.resolve("out"), new byte[image().length]);
        Path file = Files.write(folder.resolve("compressed"), compressed);
        ToolRun.of("era_restore", "-i", file, "-o", output).text();
        assertEquals(xml, ToolRun.of("era_dump", output).text());
        Files.write(output, new byte[image().length]);
        InputStream slow = new FilterInputStream(new ByteArrayInputStream(compressed)) {
            @Override
            public int read(byte[] bytes, int from, int length) throws IOException {
                return super.read(bytes, from, Math.min(length, 1000));
            }

            @Override
            public int available() {
                return 0;
            }
        };
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = CommandLine.run(
                Commands.find("era_restore"),
                new String[] {"-i", "-", "-o", output.toString()},
                slow,
                new ByteArrayOutputStream(),
                new PrintStream(err, true, StandardCharsets.UTF_8));
        assertEquals("", err.toString(StandardCharsets.UTF_8));
        assertEquals(0, code);
        assertArrayEquals(
                xml.getBytes(StandardCharsets.UTF_8),
                ToolRun.of("era_dump", output).product());
    }
}
