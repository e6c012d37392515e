// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.dmera.tools.backup.image.StreamImage;
import org.dmera.tools.backup.stream.StreamException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each state of a chain, read here and there, is what a target holds to which the streams were applied. */
class StreamImageTest {
    private static final long CACHE = 3 << 20;
    private static final long AMPLE = 1 << 20;

    @TempDir
    Path dir;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);
    private final List<Path> streams = new ArrayList<>();
    private final List<byte[]> states = new ArrayList<>();
    private final List<String> log = new ArrayList<>();
    private ScratchOrigin origin;

    @BeforeEach
    void makeOrigin() throws IOException {
        origin = new ScratchOrigin(dir.resolve("origin"), 5_000_001, 4096, 4000, seed);
        origin.scribble(150);
    }

    private void copy(boolean full, long baseEra, long baseSize) throws IOException {
        Path stream = dir.resolve("s" + streams.size());
        if (full) {
            origin.full(stream);
        } else {
            origin.increment(stream, baseEra, baseSize);
        }
        streams.add(stream);
        states.add(Files.readAllBytes(origin.path));
    }

    /** A chain in which the origin grows, shrinks, and is copied wholly once more. */
    private void chain(int increments) throws IOException {
        copy(true, 0, 0);
        for (int i = 0; i < increments; i++) {
            long base = origin.era;
            long size = origin.size();
            if (random.nextInt(3) == 0) {
                origin.resize(3_000_000 + random.nextInt(4_000_000));
            }
            origin.scribble(1 + random.nextInt(40));
            copy(i == increments / 2, base, size);
        }
    }

    private static byte[] read(StreamImage image, int state, long offset, int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        image.read(state, offset, bytes);
        return bytes.array();
    }

    private void assertStatesAreRight(StreamImage image) throws IOException {
        for (int i = 0; i < 400; i++) {
            int state = random.nextInt(states.size());
            byte[] wanted = states.get(state);
            int offset = random.nextInt(wanted.length + 10_000);
            int length = 1 + random.nextInt(i % 10 == 0 ? 1_500_000 : 9000);
            byte[] expected =
                    offset >= wanted.length ? new byte[length] : Arrays.copyOfRange(wanted, offset, offset + length);
            assertArrayEquals(
                    expected, read(image, state, offset, length), "state " + state + ", " + offset + ", seed " + seed);
        }
    }

    @Test
    void everyStateOfAChainIsReadAtAnyPlaceHoweverLittleMemoryThereIs() throws IOException {
        chain(8);
        for (long indexBytes : new long[] {AMPLE, 700, 64}) {
            try (StreamImage image = StreamImage.open(streams, CACHE, indexBytes, log::add)) {
                assertStatesAreRight(image);
                // Each stream has one note at least.
                assertTrue(
                        image.indexBytes() <= indexBytes + streams.size() * 32L,
                        image.indexBytes() + " of " + indexBytes);
                assertEquals(states.size(), image.states());
            }
        }
        assertEquals(List.of(), log);
    }

    @Test
    void manyReadersOfMoreThanTheCacheHoldsGetWhatTheyAskedFor() throws Exception {
        chain(4);
        ExecutorService readers = Executors.newFixedThreadPool(8);
        try (StreamImage image = StreamImage.open(streams, 0, log::add)) {
            List<Future<Integer>> done = new ArrayList<>();
            for (int reader = 0; reader < 8; reader++) {
                Random own = new Random(seed + reader);
                done.add(readers.submit(() -> {
                    for (int i = 0; i < 60; i++) {
                        int state = own.nextInt(states.size());
                        byte[] wanted = states.get(state);
                        int offset = own.nextInt(wanted.length - 100_000);
                        assertArrayEquals(
                                Arrays.copyOfRange(wanted, offset, offset + 100_000),
                                read(image, state, offset, 100_000),
                                "state " + state + ", " + offset + ", seed " + seed);
                    }
                    return 60;
                }));
            }
            for (Future<Integer> each : done) {
                assertEquals(60, each.get());
            }
        } finally {
            readers.shutdown();
        }
    }

    @Test
    void allocationTellsWhatIsZeroAndNeverCallsDataZero() throws IOException {
        chain(3);
        try (StreamImage image = StreamImage.open(streams, CACHE, log::add)) {
            for (int state = 0; state < states.size(); state++) {
                byte[] wanted = states.get(state);
                long zeroes = 0;
                for (long at = 0; at < wanted.length; ) {
                    long run = image.allocation(state, at, wanted.length - at);
                    assertTrue(run != 0, "a run has a byte at least");
                    for (long b = at; run < 0 && b < at - run; b++) {
                        assertEquals(0, wanted[(int) b], "byte " + b + " of state " + state + ", seed " + seed);
                    }
                    zeroes += Math.max(0, -run);
                    at += Math.abs(run);
                }
                assertTrue(zeroes > 0, "the origin has zeroes, seed " + seed);
            }
        }
    }

    /** Where damage is, as the bytes of the state that can't be read; what can be read must be right. */
    private int unreadable(StreamImage image, int state) throws IOException {
        int lost = 0;
        byte[] wanted = states.get(state);
        for (int at = 0; at < wanted.length; at += 4096) {
            int length = Math.min(4096, wanted.length - at);
            try {
                assertArrayEquals(Arrays.copyOfRange(wanted, at, at + length), read(image, state, at, length));
            } catch (StreamException e) {
                lost += length;
            }
        }
        return lost;
    }

    @Test
    void aDamagedByteFailsWhatItsChunkHoldsAndNothingElse() throws IOException {
        chain(2);
        byte[] sound = Files.readAllBytes(streams.get(0));
        // Behind the token, which has nothing of the disk.
        int header = ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN).getInt(12);
        for (int i = 0; i < 12; i++) {
            byte[] bytes = sound.clone();
            int at = header + random.nextInt(bytes.length - header - 96);
            bytes[at] ^= (byte) (1 << random.nextInt(8));
            Files.write(streams.get(0), bytes);
            log.clear();
            try (StreamImage image = StreamImage.open(streams, CACHE, 200, log::add)) {
                int lost = unreadable(image, 0);
                assertTrue(lost > 0 && lost <= 2 << 20, lost + " bytes are lost by byte " + at + ", seed " + seed);
                // The state after the second full stream has nothing of the first.
                assertEquals(0, unreadable(image, 2), "byte " + at + ", seed " + seed);
            }
            assertEquals(1, log.size(), () -> log + ", byte " + at + ", seed " + seed);
            assertTrue(log.get(0).startsWith(streams.get(0) + ": chunk "), log.get(0));
        }
    }

    @Test
    void whatIsLostOfAnIncrementMayHaveBeenAnythingInTheGap() throws IOException {
        copy(true, 0, 0);
        long base = origin.era;
        long size = origin.size();
        origin.scribble(200);
        copy(false, base, size);
        byte[] bytes = Files.readAllBytes(streams.get(1));
        Arrays.fill(bytes, 256, bytes.length - 96, (byte) 0x55);
        Files.write(streams.get(1), bytes);
        try (StreamImage image = StreamImage.open(streams, CACHE, log::add)) {
            assertEquals(states.get(1).length, unreadable(image, 1));
            assertEquals(0, unreadable(image, 0));
        }
    }

    @Test
    void whatIsNoChainIsRefused() throws IOException {
        copy(true, 0, 0);
        long base = origin.era;
        origin.scribble(5);
        copy(false, base, origin.size());
        base = origin.era;
        origin.scribble(5);
        copy(false, base, origin.size());
        for (List<Path> wrong :
                List.of(streams.subList(1, 3), List.of(streams.get(0), streams.get(2)), List.of(origin.path))) {
            assertThrows(IOException.class, () -> StreamImage.open(wrong, CACHE, log::add));
        }
        byte[] bytes = Files.readAllBytes(streams.get(0));
        Files.write(streams.get(0), Arrays.copyOf(bytes, bytes.length - 1000));
        IOException cut = assertThrows(IOException.class, () -> StreamImage.open(streams, CACHE, log::add));
        assertTrue(cut.getMessage().contains("truncated"), cut.getMessage());
    }
}
