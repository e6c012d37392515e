// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.InputPoll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Which readers of a FUSE file read, and when what they hold is sent: to a file here, in the place of {@code /dev/fuse}. */
@Timeout(300)
class FuseReadersTest {
    private static final int CAPACITY = 4;

    @TempDir
    Path dir;

    private final BufferPool pool = new BufferPool(1 << 20);
    private final FuseReaders readers = new FuseReaders(3);
    private int fd;
    private FuseAnswers held;
    private InputPoll input;

    @BeforeEach
    void open() throws IOException {
        fd = FileDescriptors.create(dir.resolve("sent").toString(), 0600);
        held = new FuseAnswers(new FuseRequests(fd, () -> {}, why -> {}), CAPACITY, pool);
        input = new InputPoll(fd);
        readers.begin(held);
    }

    @AfterEach
    void close() throws IOException {
        held.close();
        FileDescriptors.close(fd);
    }

    private boolean answer(long unique, int value) {
        held.body().putInt(value);
        return held.add(unique);
    }

    /** The uniques of what was sent, each of whose bodies is checked to be the int that {@link #answer} put. */
    private long[] sent(int... values) throws IOException {
        ByteBuffer all =
                ByteBuffer.wrap(Files.readAllBytes(dir.resolve("sent"))).order(ByteOrder.nativeOrder());
        long[] uniques = new long[values.length];
        for (int i = 0; i < values.length; i++) {
            assertEquals(Fuse.OUT_HEADER_BYTES + Integer.BYTES, all.getInt(), "length");
            assertEquals(0, all.getInt(), "error");
            uniques[i] = all.getLong();
            assertEquals(values[i], all.getInt(), "body");
        }
        assertFalse(all.hasRemaining(), "more was sent");
        return uniques;
    }

    @Test
    void answersAreKeptUntilTheyAreSentInTheirOrder() throws IOException {
        answer(7, 70);
        answer(8, 80);
        assertArrayEquals(new long[0], sent());
        held.sendAll();
        assertArrayEquals(new long[] {7, 8}, sent(70, 80));
    }

    @Test
    void itSaysWhenThereIsNoRoomForAnother() throws IOException {
        for (int round = 0; round < 2; round++) {
            for (int i = 1; i < CAPACITY; i++) {
                assertFalse(answer(i, i));
            }
            assertTrue(answer(CAPACITY, CAPACITY));
            held.sendAll();
        }
        assertEquals(2 * CAPACITY * (Fuse.OUT_HEADER_BYTES + Integer.BYTES), Files.size(dir.resolve("sent")));
    }

    @Test
    void anAnswerUnderWayWhileAnotherThreadSendsIsSentLater() throws IOException {
        answer(1, 10);
        ByteBuffer body = held.body();
        held.send();
        assertArrayEquals(new long[] {1}, sent(10));
        body.putInt(20);
        held.add(2);
        held.sendAll();
        assertArrayEquals(new long[] {1, 2}, sent(10, 20));
    }

    @Test
    void whatAStuckReaderHasAnsweredIsSentAndTheOthersRead() throws IOException {
        answer(1, 10);
        readers.turn();
        assertFalse(readers.mayRead());
        readers.rest(input);
        assertArrayEquals(new long[] {1}, sent(10));
        assertTrue(readers.mayRead());
    }

    @Test
    void aReaderBetweenRequestsIsLeftAlone() throws IOException {
        answer(1, 10);
        readers.turn();
        readers.turn();
        readers.rest(input);
        assertArrayEquals(new long[0], sent());
        assertFalse(readers.mayRead());
    }

    @Test
    void theOthersReadFromALongRequestOnUntilManyShortOnes() {
        readers.shareLong();
        int shared = 0;
        while (readers.mayRead()) {
            readers.countShort();
            shared++;
        }
        assertTrue(shared > 1, "the others could read for " + shared + " requests");
        readers.countShort();
        assertFalse(readers.mayRead());
    }

    @Test
    void theFirstKeepsNothingWhileNobodyIsFreeToLookAfterIt() throws IOException {
        answer(1, 10);
        readers.beginWork();
        assertArrayEquals(new long[] {1}, sent(10));
        assertTrue(readers.mayHold());
        answer(2, 20);
        readers.beginWork();
        assertArrayEquals(new long[] {1, 2}, sent(10, 20));
        assertFalse(readers.mayHold());
        readers.endWork();
        assertTrue(readers.mayHold());
    }

    @Test
    void theOthersReadOnForAsLongAsTheFirstIsStuck() throws IOException {
        readers.turn();
        readers.rest(input);
        for (int i = 0; i < 1000; i++) {
            readers.beginWork();
            readers.endWork();
        }
        assertTrue(readers.mayRead());
    }

    @Test
    void theOthersReadOnWhenTheFirstHasEnded() throws IOException, InterruptedException {
        Thread other = new Thread(() -> {
            try {
                while (!readers.mayRead()) {
                    readers.rest(input);
                }
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        other.start();
        readers.end();
        other.join();
        assertTrue(readers.mayRead());
    }

    @Test
    void memoryIsGivenBackAndNothingIsSentAfterTheEnd() throws IOException {
        answer(1, 10);
        held.close();
        held.send();
        assertArrayEquals(new long[0], sent());
        held = new FuseAnswers(new FuseRequests(fd, () -> {}, why -> {}), CAPACITY, pool);
    }
}
