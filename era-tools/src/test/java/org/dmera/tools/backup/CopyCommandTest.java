// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.Random;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.backup.copy.MetadataView;
import org.dmera.tools.backup.copy.StreamOutput;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;
import org.dmera.tools.cli.Command;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** era_copy on metadata that the kernel made: the stream holds what the kernel recorded, no more and no less. */
class CopyCommandTest {
    @TempDir
    Path dir;

    private Path metadata(String name) throws IOException {
        return Files.write(dir.resolve("metadata"), Fixtures.imageBytes(Fixtures.image(name)));
    }

    /** An origin of the image's size, a little less in its last block, without a zero block. */
    private Path origin(JsonNode image) throws IOException {
        long blockBytes = 512 * image.get("block_size_sectors").asLong();
        long size = image.get("superblock").get("nr_blocks").asLong() * blockBytes - 512;
        Path origin = dir.resolve("origin");
        byte[] noise = new byte[1 << 20];
        new Random(3).nextBytes(noise);
        try (RandomAccessFile f = new RandomAccessFile(origin.toFile(), "rw")) {
            while (f.length() < size) {
                f.seek(f.length());
                f.write(noise, 0, (int) Math.min(noise.length, size - f.length()));
            }
        }
        return origin;
    }

    @Test
    void changesSinceAnEraToComeAreRefused() throws IOException {
        JsonNode image = Fixtures.image("e_crash_bs8.crash");
        long next = image.get("superblock").get("current_era").asLong() + 1;
        Path origin = origin(image);
        for (long era = next; era <= next + 1; era++) {
            Run.copy("--since", era, "-m", metadata("e_crash_bs8.crash"), origin, "-o", dir.resolve("out"))
                    .refused("the current era is " + (next - 1), "take a full copy");
        }
    }

    /** To open one waits for whoever is to write to it. */
    @Test
    void anOriginThatIsAPipeIsRefusedAndNotWaitedFor() throws Exception {
        Path pipe = dir.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
        Path metadata = metadata("e_crash_bs8.crash");
        assertTimeoutPreemptively(
                Duration.ofMinutes(5),
                () -> Run.copy("--full", "-m", metadata, pipe, "-o", dir.resolve("out"))
                        .refused("Not a block device or regular file: " + pipe));
    }

    @Test
    void anOptionThatAMergeWouldNotHeedIsRefused() throws IOException {
        Path out = dir.resolve("out");
        Run.copy("--merge", "--bwlimit", "1M", "stream", "-o", out).refused("--bwlimit has no meaning");
        Run.copy("--merge", "--readers", "2", "stream", "-o", out).refused("--readers has no meaning");
        JsonNode image = Fixtures.image("e_crash_bs8.crash");
        Path full = dir.resolve("full");
        Run.copy("--full", "-m", metadata("e_crash_bs8.crash"), origin(image), "-o", full)
                .ok();
        Run run = Run.copy("--merge", "-c", "none", "--level", "3", full, "-o", out);
        assertTrue(run.code() != 0 && run.err().contains("nothing is compressed"), run.err());
    }

    private static BitSet writtenSince(JsonNode writtenByEra, long since) {
        BitSet blocks = new BitSet();
        writtenByEra.properties().forEach(entry -> {
            if (Long.parseLong(entry.getKey()) >= since) {
                for (String range : entry.getValue().asText().split(",", -1)) {
                    String[] ends = range.split("-", 2);
                    blocks.set(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]) + 1);
                }
            }
        });
        return blocks;
    }

    private static BitSet blocksOf(Path stream) throws IOException {
        BitSet blocks = new BitSet();
        try (StreamReader reader = StreamReader.open(stream.toString(), null)) {
            Chunk chunk = new Chunk();
            long blockBytes = reader.header().blockSizeBytes();
            while (reader.next(chunk)) {
                for (int i = 0; i < chunk.extents().size(); i++) {
                    long begin = chunk.extents().offsetBytes(i);
                    long end = begin + chunk.extents().lengthBytes(i);
                    blocks.set((int) (begin / blockBytes), (int) ((end + blockBytes - 1) / blockBytes));
                }
            }
        }
        return blocks;
    }

    private static StreamHeader header(Path stream) throws IOException {
        try (StreamReader reader = StreamReader.open(stream.toString(), null)) {
            return reader.header();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"b_eras_bs8.clean", "e_crash_bs8.crash", "g_resize.shrunk_live", "r_fuzz01.crash2"})
    void anIncrementHoldsTheBlocksThatTheKernelRecorded(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        Path metadata = metadata(name);
        Path origin = origin(image);
        long current = image.get("current_era").asLong();
        for (long since = 1; since <= current + (name.endsWith(".clean") ? 1 : 0); since += 1 + current / 4) {
            Path stream = dir.resolve("stream" + since);
            Run.copy("--since", since, "-m", metadata, origin, "-o", stream).ok();
            assertEquals(writtenSince(image.get("written_by_era"), since), blocksOf(stream), name + " since " + since);
            assertEquals(since, header(stream).baseEra());
            assertEquals(Files.size(origin), header(stream).originSizeBytes());
        }
    }

    @Test
    void aSnapshotsIncrementHoldsWhatWasWrittenBeforeIt() throws IOException {
        JsonNode image = Fixtures.image("c_snap_bs8.live");
        Path metadata = metadata("c_snap_bs8.live");
        Path stream = dir.resolve("stream");
        Run.copy("--since", 1, "--metadata-snapshot", "-m", metadata, origin(image), "-o", stream)
                .ok();
        assertEquals(writtenSince(image.get("snapshot").get("written_by_era"), 1), blocksOf(stream));
        StreamHeader h = header(stream);
        assertEquals(StreamHeader.METADATA_SNAPSHOT, h.flags());
        // The origin may have been snapshotted before the metadata: what came between is in the era before.
        assertEquals(image.get("snapshot").get("snap_current_era").asLong() - 1, h.newEra());
        BitSet later = writtenSince(image.get("written_by_era"), h.newEra());
        BitSet all = writtenSince(image.get("written_by_era"), 1);
        later.or(blocksOf(stream));
        assertEquals(all, later, "what is not in this stream is in the next");
    }

    @Test
    void theNextBaseIsTheOpenEraOfACrashAndTheOneAfterARest() throws IOException {
        JsonNode crash = Fixtures.image("e_crash_bs8.crash");
        Path stream = dir.resolve("stream");
        Run.copy("--full", "-m", metadata("e_crash_bs8.crash"), origin(crash), "-o", stream)
                .ok();
        assertEquals(crash.get("current_era").asLong(), header(stream).newEra());
        JsonNode clean = Fixtures.image("b_eras_bs8.clean");
        Run.copy("--full", "-m", metadata("b_eras_bs8.clean"), origin(clean), "-o", stream)
                .ok();
        assertEquals(clean.get("current_era").asLong() + 1, header(stream).newEra());
    }

    @Test
    void aStreamGoesToStandardOutputByDefault() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Run run = Run.copy("--since", 1, "--compress", "none", "-m", metadata("b_eras_bs8.clean"), origin(image));
        assertEquals(0, run.code(), run.err());
        assertTrue(run.out().length() > 1000);
    }

    @Test
    void whatDoesNotMakeSenseIsRefusedInOneLineAndLeavesNothing() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        Path out = dir.resolve("out");
        Run.copy("-m", metadata, origin, "-o", out).refused("--full, --since ERA and --after STREAM");
        Run.copy("--full", "--since", 3, "-m", metadata, origin, "-o", out).refused("only one can be given");
        Run.copy("--full", origin, "-o", out).refused("--metadata DEV is needed");
        Run.copy("--full", "-m", metadata, origin, origin, "-o", out).refused("one origin");
        Run.copy("--since", 9999, "-m", metadata, origin, "-o", out).refused("the metadata was made anew");
        Run.copy("--full", "--metadata-snapshot", "-m", metadata, origin, "-o", out)
                .refused("no current metadata snap");
        Run.copy("--full", "-m", metadata, dir.resolve("nowhere"), "-o", out).refused("Couldn't find input file");
        Run.copy("--full", "-m", metadata, dir, "-o", out).refused("Not a block device or regular file");
        Run.copy("--full", "-m", origin, origin, "-o", out).refused("bad checksum in superblock");
        Run.copy("--full", "-m", metadata, origin, "-o", dir.resolve("no/folder/out"))
                .refused("no such folder");
        Run.copy("--after", origin, "-m", metadata, origin, "-o", out).refused("not an era stream");
        Path small = Files.write(dir.resolve("small"), new byte[4096]);
        Run.copy("--full", "-m", metadata, small, "-o", out).refused("not the origin of this metadata");
        assertFalse(Files.exists(out) || Files.exists(dir.resolve("out.partial")));
        Run wrong = Run.copy("--full", "--bwlimit", "fast", "-m", metadata, origin, "-o", out);
        assertEquals(1, wrong.code());
        assertTrue(wrong.err().contains("invalid value 'fast' for '--bwlimit <RATE>'"), wrong.err());
        assertEquals(
                "",
                Run.copy("-q", "--since", 9999, "-m", metadata, origin, "-o", out)
                        .err());
    }

    @Test
    void anOutputThatIsAnInputIsRefusedUntouched() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        Path full = dir.resolve("full");
        Run.copy("--full", "-m", metadata, origin, "-o", full).ok();
        for (Path input : new Path[] {origin, metadata, full}) {
            byte[] before = Files.readAllBytes(input);
            Path link = Files.createSymbolicLink(dir.resolve("link-" + input.getFileName()), input);
            for (Path output : new Path[] {input, link}) {
                Run.copy("--after", full, "-m", metadata, origin, "-o", output).refused("is the input " + input);
            }
            assertArrayEquals(before, Files.readAllBytes(input));
        }
        Path partial = Files.move(origin, dir.resolve("out.partial"));
        Run.copy("--full", "-m", metadata, partial, "-o", dir.resolve("out")).refused("out.partial is the input");
        assertTrue(Files.exists(partial));
    }

    @Test
    void onlyOneStreamIsWrittenToAFileAtATime() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        Path out = dir.resolve("out");
        Path partial = Files.write(dir.resolve("out.partial"), new byte[3_000_000]);
        try (StreamOutput first = new StreamOutput(out)) {
            first.write(java.nio.ByteBuffer.wrap(new byte[] {1, 2, 3}));
            Run.copy("--full", "-m", metadata, origin, "-o", out).refused("another run is writing it");
            assertTrue(Files.exists(partial) && Files.notExists(out));
            first.commit();
        }
        assertArrayEquals(new byte[] {1, 2, 3}, Files.readAllBytes(out));
        Run.copy("--full", "-m", metadata, origin, "-o", out).ok();
        assertTrue(Files.notExists(partial));
    }

    /** States are files of lines: with one that is cut by them every backup would be another device's, and so a full one. */
    @Test
    void anIdentityThatNoLineOfAStreamOrStateCanHoldIsRefused() throws IOException {
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(Fixtures.image("b_eras_bs8.clean"));
        for (String noName : new String[] {"a\nb", "a\rb", "x".repeat(145)}) {
            Run.copy("--full", "--identity", noName, "-m", metadata, origin, "-o", dir.resolve("full"))
                    .refused("--identity: expected one line of at most 144 bytes");
        }
        Path folder = Files.createDirectory(dir.resolve("a\nb"));
        assertEquals(
                folder.toRealPath().resolve("m").toString().replace('\n', ' '),
                MetadataView.identityOf(Files.copy(metadata, folder.resolve("m"))));
    }

    @Test
    void anIncrementAfterAnotherDevicesStreamIsRefused() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        Path full = dir.resolve("full");
        Run.copy("--full", "--identity", "vg/other", "-m", metadata, origin, "-o", full)
                .ok();
        Path out = dir.resolve("out");
        Run.copy("--after", full, "-m", metadata, origin, "-o", out).refused("another device", "vg/other");
        Run.copy("--after", full, "--identity", "vg/other", "-m", metadata, origin, "-o", out)
                .ok();
    }

    /** Puts metadata there of which each block was written in the first era, and whose current one is {@code era}. */
    private void makeAnew(Path metadata, JsonNode image, long era) throws IOException {
        long blocks = image.get("superblock").get("nr_blocks").asLong();
        StringBuilder xml = new StringBuilder("<superblock block_size=\""
                + image.get("block_size_sectors").asLong() + "\" nr_blocks=\"" + blocks + "\" current_era=\"" + era
                + "\">\n<era_array>\n");
        for (long block = 0; block < blocks; block++) {
            xml.append("<era block=\"").append(block).append("\" era=\"1\"/>\n");
        }
        Path file = Files.writeString(dir.resolve("xml"), xml.append("</era_array>\n</superblock>\n"));
        Run.of(Commands.find("era_restore"), "-q", "-i", file, "-o", metadata).ok();
    }

    @Test
    void anIncrementAfterAStreamOfMetadataThatWasMadeAnewIsRefused() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        Path full = dir.resolve("full");
        Run.copy("--full", "-m", metadata, origin, "-o", full).ok();
        Path increment = dir.resolve("increment");
        Run.copy("--after", full, "-m", metadata, origin, "-o", increment).ok();
        Path merged = dir.resolve("merged");
        Run.copy("--merge", full, increment, "-o", merged).ok();
        String token = Run.of(Commands.find("era_stat"), "-f", "json", metadata)
                .ok()
                .out()
                .replaceAll("(?s).*\"token\" *: *\"([^\"]*)\".*", "$1");
        Path out = dir.resolve("out");
        Run.copy("--since", token, "-m", metadata, origin, "-o", out).ok();
        assertEquals(new BitSet(), blocksOf(out));
        Command invalidate = Commands.find("era_invalidate");
        assertEquals(
                "",
                Run.of(invalidate, "--format", "ranges", "--written-since", token, metadata)
                        .ok()
                        .out());
        Files.delete(out);

        makeAnew(metadata, image, image.get("superblock").get("current_era").asLong() + 5);
        for (Path base : new Path[] {full, increment, merged}) {
            Run.copy("--after", base, "-m", metadata, origin, "-o", out).refused("made anew", "take a full copy");
        }
        Run.copy("--since", token, "-m", metadata, origin, "-o", out).refused("made anew");
        assertTrue(Files.notExists(out));
        Run.of(invalidate, "--written-since", token, metadata).refused("made anew");
        Run.copy("--since", token + "A", "-m", metadata, origin, "-o", out).refused("is no token of an era");
        Run.of(invalidate, "--written-since", token.substring(0, 60), metadata).refused("is no token of an era");
    }

    @Test
    void streamsOfSeveralOriginsInOneCommandAreRefusedBeforeAnythingIsWritten() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        // As era_backup calls them: a pattern for the one meets the other, and sorts it last.
        Path mine = dir.resolve("data.000001.full.erastream");
        Path other = dir.resolve("data.old.000001.full.erastream");
        Run.copy("--full", "--identity", "vg/data_era", "-m", metadata, origin, "-o", mine)
                .ok();
        Run.copy("--full", "--identity", "vg/old_era", "-m", metadata, origin, "-o", other)
                .ok();
        Path target = dir.resolve("target");
        for (Object[] options : new Object[][] {{}, {"--force"}, {"--dry-run"}, {"--verify"}}) {
            Object[] command = java.util.Arrays.copyOf(new Object[] {mine, other, "-o", target}, 4 + options.length);
            System.arraycopy(options, 0, command, 4, options.length);
            Run.apply(command).refused("another origin", "vg/old_era", "vg/data_era");
        }
        Run.copy("--merge", mine, other, "-o", target).refused("another origin");
        assertTrue(Files.notExists(target));
        Run.apply(mine, "-o", target).ok();
        Run.apply(other, "-o", target).ok();
    }

    @Test
    void aLimitOfBandwidthIsKept() throws IOException {
        JsonNode image = Fixtures.image("b_eras_bs8.clean");
        Path metadata = metadata("b_eras_bs8.clean");
        Path origin = origin(image);
        long began = System.nanoTime();
        Run.copy("--full", "--bwlimit", "16M", "-m", metadata, origin, "-o", dir.resolve("out"))
                .ok();
        double seconds = (System.nanoTime() - began) / 1e9;
        double least = Files.size(origin) / (16.0 * (1 << 20)) * 0.8 - 0.3;
        assertTrue(seconds >= least, seconds + " s for " + Files.size(origin) + " bytes, expected " + least);
    }

    @Test
    void bytesAreReadAndWrittenAsPeopleDo() {
        assertEquals(1536, ByteCount.parse("1.5K"));
        assertEquals(50L << 20, ByteCount.parse("50M"));
        assertEquals(20L << 30, ByteCount.parse("20GiB"));
        assertEquals(4096, ByteCount.parse("4096"));
        for (String wrong : new String[] {"", "M", "-1", "1x", "1.2.3", "K5"}) {
            assertThrows(NumberFormatException.class, () -> ByteCount.parse(wrong), wrong);
        }
        assertEquals("1023 B", ByteCount.text(1023));
        assertEquals("1.0 KiB", ByteCount.text(1024));
        assertEquals("1.0 MiB", ByteCount.text((1 << 20) - 1));
        assertEquals("8.0 EiB", ByteCount.text(Long.MAX_VALUE));
    }
}
