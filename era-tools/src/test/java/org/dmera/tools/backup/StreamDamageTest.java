// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ChunkEncoder;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;
import org.dmera.tools.backup.stream.StreamWriter;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** No stream that is not exactly what was written is ever taken, and the message says which chunk is wrong. */
class StreamDamageTest {
    @TempDir
    Path dir;

    private ScratchOrigin origin;
    private Path stream;
    private byte[] good;
    /** Where each chunk begins, and the footer at the end. */
    private final List<Integer> parts = new ArrayList<>();

    @BeforeEach
    void makeAStreamOfSomeChunks() throws IOException {
        origin = new ScratchOrigin(dir.resolve("origin"), 6_500_000, 64 << 10, 100, 1);
        origin.scribble(200);
        stream = dir.resolve("s");
        origin.full(stream);
        good = Files.readAllBytes(stream);
        parts.addAll(parts(good));
        assertTrue(parts.size() > 6, "some chunks: " + parts);
    }

    private static List<Integer> parts(byte[] bytes) {
        ByteBuffer b = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        List<Integer> at = new ArrayList<>();
        int position = b.getInt(12);
        while (position < bytes.length - StreamFooter.BYTES) {
            at.add(position);
            position += 40 + 16 * b.getInt(position + 4) + b.getInt(position + 20);
        }
        at.add(position);
        return at;
    }

    private byte[] chunk(byte[] bytes, List<Integer> at, int i) {
        return Arrays.copyOfRange(bytes, at.get(i), at.get(i + 1));
    }

    @Test
    void anIntactStreamIsSound() {
        assertTrue(Run.apply("--dry-run", stream, "-o", dir.resolve("t"))
                .ok()
                .out()
                .contains("sound"));
        assertFalse(Files.exists(dir.resolve("t")));
    }

    @Test
    void everyFlippedBitIsFoundAndTheChunkNamed() throws IOException {
        Random random = new Random(2);
        int tries = Boolean.getBoolean("era.nightly") ? 5000 : 120;
        for (int i = 0; i < tries; i++) {
            // Half of the flips in the first bytes of a part, where lengths and counts are.
            int part = random.nextInt(parts.size());
            int at = random.nextBoolean() ? parts.get(part) + random.nextInt(64) : random.nextInt(good.length);
            byte[] bad = good.clone();
            bad[at] ^= (byte) (1 << random.nextInt(8));
            String message = refusal(bad);
            if (at >= parts.get(0) && at < parts.get(parts.size() - 1)) {
                int chunk = 0;
                while (parts.get(chunk + 1) <= at) {
                    chunk++;
                }
                String place = "chunk " + chunk + " (at byte " + parts.get(chunk) + ")";
                assertTrue(message.contains(place), "byte " + at + " of chunk " + chunk + ": " + message);
            }
        }
    }

    @Test
    void aDamagedTokenIsFoundBeforeAnythingIsWritten() throws IOException {
        while (parts.get(0) == StreamHeader.BYTES) {
            origin.full(stream);
            good = Files.readAllBytes(stream);
            parts.clear();
            parts.addAll(parts(good));
        }
        Path target = dir.resolve("t");
        for (int at = StreamHeader.BYTES; at < parts.get(0); at += 7) {
            byte[] bad = good.clone();
            bad[at] ^= 4;
            Files.write(stream, bad);
            Run.apply(stream, "-o", target).refused(stream + ": the token in its header is damaged");
            Run.of(new ApplyCommand(), new ByteArrayInputStream(bad), "-", "-o", target)
                    .refused("the token in its header is damaged");
        }
        assertTrue(Files.notExists(target));
        // Who only looks can do without it.
        try (StreamImage image = StreamImage.open(List.of(stream), 1 << 20, line -> {})) {
            image.read(0, 0, ByteBuffer.allocate(4096));
        }
    }

    @Test
    void aHeaderThatIsRefusedIsNotWritten() {
        for (int[] lengths : new int[][] {{15, 16, 0}, {17, 16, 0}, {16, 15, 0}, {16, 16, 1}, {16, 16, 5000}}) {
            StreamHeader wrong = new StreamHeader(
                    new byte[lengths[0]], 0, 0, 512, 0, 0, 1, 0, new byte[lengths[1]], "x", 0, new byte[lengths[2]]);
            assertThrows(IllegalArgumentException.class, wrong::encode, Arrays.toString(lengths));
        }
        for (long[] of : new long[][] {{-1, 512, 0}, {0, 0, 0}, {0, 512, 64}}) {
            StreamHeader wrong = header(of[0], of[1], (int) of[2]);
            assertThrows(IllegalArgumentException.class, wrong::encode, Arrays.toString(of));
        }
    }

    /** Whoever lists backups writes it as a date. */
    @Test
    void aDateThatThereIsNotIsRefused() throws IOException {
        for (long seconds : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, Instant.MAX.getEpochSecond() + 1}) {
            byte[] bad = good.clone();
            ByteBuffer header =
                    ByteBuffer.wrap(bad).order(ByteOrder.LITTLE_ENDIAN).putLong(72, seconds);
            CRC32C crc = new CRC32C();
            crc.update(bad, 0, 252);
            header.putInt(252, (int) crc.getValue());
            assertTrue(refusal(bad).contains("the stream header holds an impossible date"), refusal(bad));
        }
    }

    private static StreamHeader header(long sizeBytes, long blockBytes, int flags) {
        return new StreamHeader(
                new byte[16], sizeBytes, 0, blockBytes, flags, 0, 1, 0, new byte[16], "x", 0, new byte[0]);
    }

    /** It would be found out when the backup is needed. */
    @Test
    void aChunkThatIsRefusedIsNotWrittenNorTheEndOfAFullStreamWithAGap() throws IOException {
        StreamHeader header = header(8192, 4096, StreamHeader.FULL);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StreamWriter writer = new StreamWriter(Channels.newChannel(out), header);
        int before = out.size();
        try (ChunkEncoder encoder = new ChunkEncoder(header.streamId(), 0)) {
            for (long[] of : new long[][] {{4096, 4096, 4097}, {8192, 512, 512}, {4096, 8192, 8192}}) {
                Chunk chunk = new Chunk();
                chunk.extents().add(of[0], of[1], false);
                encoder.encode(chunk, 0, (int) of[2]);
                assertThrows(IllegalArgumentException.class, () -> writer.write(chunk), Arrays.toString(of));
            }
            assertEquals(before, out.size());
            Chunk chunk = new Chunk();
            chunk.extents().add(4096, 4096, false);
            encoder.encode(chunk, 0, 4096);
            writer.write(chunk);
            encoder.encode(chunk, 1, 4096);
            assertThrows(IllegalArgumentException.class, () -> writer.write(chunk), "it lies before the last");
        }
        assertThrows(IllegalStateException.class, writer::finish);
    }

    @Test
    void aStreamCutAnywhereIsRefusedAndNothingIsWritten() throws IOException {
        Random random = new Random(3);
        List<Integer> cuts = new ArrayList<>(parts);
        cuts.addAll(List.of(0, 1, 255, 256, 257, good.length - 1, good.length - StreamFooter.BYTES + 5));
        for (int i = 0; i < 25; i++) {
            cuts.add(random.nextInt(good.length));
        }
        for (int cut : cuts) {
            byte[] bad = Arrays.copyOf(good, cut);
            assertTrue(refusal(bad).contains("truncated"), "cut at " + cut);
            Files.write(stream, bad);
            Path target = dir.resolve("t");
            Run.apply(stream, "-o", target).refused("truncated");
            assertTrue(Files.notExists(target), "nothing is written for a cut at " + cut);
        }
    }

    @Test
    void aPipeThatEndsEarlyIsRefusedAndTheTargetIsNotTakenForWhole() {
        Path target = dir.resolve("t");
        byte[] bad = Arrays.copyOf(good, parts.get(4) + 100);
        Run.of(new ApplyCommand(), new ByteArrayInputStream(bad), "-", "-o", target)
                .refused("chunk 4", "truncated");
        Path increment = dir.resolve("i");
        try {
            origin.increment(increment, origin.era, origin.size());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        Run.apply(increment, "-o", target).refused("interrupted");
        Run.of(new ApplyCommand(), new ByteArrayInputStream(good), "-", "-o", target)
                .ok();
        assertEquals(-1L, mismatch(target));
    }

    @Test
    void chunksInAnotherOrderAreRefused() throws IOException {
        byte[] bad = assemble(List.of(
                Arrays.copyOf(good, parts.get(0)),
                chunk(good, parts, 0),
                chunk(good, parts, 2),
                chunk(good, parts, 1),
                Arrays.copyOfRange(good, parts.get(3), good.length)));
        assertTrue(refusal(bad).contains("chunk 1 "), refusal(bad));
        assertTrue(refusal(bad).contains("out of order"), refusal(bad));
    }

    @Test
    void aChunkLeftOutOrTwiceIsRefused() throws IOException {
        byte[] without = assemble(
                List.of(Arrays.copyOf(good, parts.get(2)), Arrays.copyOfRange(good, parts.get(3), good.length)));
        assertTrue(refusal(without).contains("chunk 2"), refusal(without));
        byte[] twice = assemble(
                List.of(Arrays.copyOf(good, parts.get(3)), Arrays.copyOfRange(good, parts.get(2), good.length)));
        assertTrue(refusal(twice).contains("chunk 3"), refusal(twice));
    }

    @Test
    void aChunkOfAnotherStreamIsRefused() throws IOException {
        Path other = dir.resolve("other");
        origin.full(other);
        byte[] foreign = Files.readAllBytes(other);
        List<Integer> at = parts(foreign);
        byte[] bad = assemble(List.of(
                Arrays.copyOf(good, parts.get(2)),
                chunk(foreign, at, 2),
                Arrays.copyOfRange(good, parts.get(3), good.length)));
        assertTrue(refusal(bad).contains("chunk 2"), refusal(bad));
        byte[] footer = assemble(List.of(
                Arrays.copyOf(good, parts.get(parts.size() - 1)),
                Arrays.copyOfRange(foreign, at.get(at.size() - 1), foreign.length)));
        assertTrue(refusal(footer).contains("footer"), refusal(footer));
    }

    @Test
    void somethingAfterTheFooterIsRefused() throws IOException {
        byte[] bad = Arrays.copyOf(good, good.length + 7);
        Run.apply(write(bad), "-o", dir.resolve("t")).refused("footer");
        assertTrue(refusal(bad).contains("after the footer"));
    }

    @Test
    void aStreamThatCanNotBeReadOnIsNamed() {
        for (int readable : new int[] {0, 20, parts.get(0) + 3, parts.get(2) + 50, good.length - 1}) {
            ReadableByteChannel failing = new ReadableByteChannel() {
                private final ByteBuffer rest = ByteBuffer.wrap(good, 0, readable);

                @Override
                public int read(ByteBuffer dst) throws IOException {
                    if (!rest.hasRemaining()) {
                        throw new IOException("Input/output error");
                    }
                    dst.put(rest.get());
                    return 1;
                }

                @Override
                public boolean isOpen() {
                    return true;
                }

                @Override
                public void close() {}
            };
            IOException failure = assertThrows(IOException.class, () -> {
                try (StreamReader reader = StreamReader.of("monday", failing)) {
                    Chunk chunk = new Chunk();
                    while (reader.next(chunk)) {}
                }
            });
            assertEquals("monday: reading it failed: Input/output error", failure.getMessage());
        }
    }

    @Test
    void whatIsNoStreamIsRefused() throws IOException {
        byte[] noise = new byte[5000];
        new Random(4).nextBytes(noise);
        assertTrue(refusal(noise).contains("not an era stream"));
        assertTrue(refusal(new byte[0]).contains("not an era stream"));
        assertTrue(refusal(new byte[5000]).contains("not an era stream"));
        Run.apply(dir.resolve("nowhere"), "-o", dir.resolve("t")).refused("Couldn't find input file");
        Run.apply(dir, "-o", dir.resolve("t")).refused("Not a block device or regular file");
        assertFalse(Files.exists(dir.resolve("t")));
    }

    private static byte[] assemble(List<byte[]> pieces) throws IOException {
        java.io.ByteArrayOutputStream all = new java.io.ByteArrayOutputStream();
        for (byte[] piece : pieces) {
            all.write(piece);
        }
        return all.toByteArray();
    }

    private Path write(byte[] bytes) throws IOException {
        return Files.write(dir.resolve("bad"), bytes);
    }

    /** What a dry run says of the bytes, which it must refuse. */
    private String refusal(byte[] bytes) throws IOException {
        return Run.apply("--dry-run", write(bytes), "-o", dir.resolve("no-target"))
                .refused()
                .err();
    }

    private long mismatch(Path target) {
        try {
            return Files.mismatch(origin.path, target);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
