// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.tests.io.ChunkClient.Chunk;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the protocol says of each request: its flags, its payload, its bounds, and the form of its answer. */
@Timeout(300)
class NbdRequestsTest {
    private static final int EINVAL = 22;
    private static final int ENOSPC = 28;
    private static final int MAX_PAYLOAD = 32 << 20;
    private static final List<Integer> FORMS = List.of(ChunkClient.STRUCTURED_REPLY, ChunkClient.EXTENDED_HEADERS);

    @TempDir
    private Path folder;

    private TestEngine engine;
    private MappedDevice device;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        device = engine.createEra("vol", 64);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private ChunkClient open(int form, String... contexts) throws IOException {
        return ChunkClient.open(folder.resolve("nbd"), "vol", form, contexts);
    }

    private static byte[] noise(int bytes) {
        byte[] noise = new byte[bytes];
        new Random(bytes).nextBytes(noise);
        return noise;
    }

    /** The flag that a WRITE must have. */
    private static int payload(int form) {
        return form == ChunkClient.EXTENDED_HEADERS ? ChunkClient.PAYLOAD_LEN : 0;
    }

    private static void assertReads(ChunkClient client, byte[] expected) throws IOException {
        client.request(0, WireClient.READ, 77, 0, expected.length, null);
        Chunk read = client.chunk();
        assertEquals(ChunkClient.OFFSET_DATA, read.type());
        byte[] back = new byte[expected.length];
        read.body().position(8).get(back);
        assertArrayEquals(expected, back);
    }

    @Test
    void aFlagThatACommandDoesNotHaveFailsThatRequestAlone() throws Exception {
        byte[] data = noise(4096);
        for (int form : FORMS) {
            try (ChunkClient client = open(form, "base:allocation")) {
                client.request(payload(form), WireClient.WRITE, 1, 0, data.length, data);
                assertEquals(0, client.error(1));
                int[][] wrong = {
                    {WireClient.READ, ChunkClient.NO_HOLE},
                    {WireClient.READ, ChunkClient.REQ_ONE},
                    {WireClient.READ, ChunkClient.FAST_ZERO},
                    {WireClient.READ, 0x8000},
                    {WireClient.FLUSH, ChunkClient.DF},
                    {WireClient.FLUSH, 64},
                    {WireClient.TRIM, ChunkClient.NO_HOLE},
                    {WireClient.TRIM, ChunkClient.FAST_ZERO},
                    {WireClient.CACHE, ChunkClient.REQ_ONE},
                    {WireClient.WRITE_ZEROES, ChunkClient.DF},
                    {WireClient.WRITE_ZEROES, 128},
                    {ChunkClient.BLOCK_STATUS, ChunkClient.DF},
                    {ChunkClient.BLOCK_STATUS, 256},
                    {99, 0},
                };
                for (int[] request : wrong) {
                    String which = "form " + form + ", command " + request[0] + ", flags " + request[1];
                    long length = request[0] == WireClient.FLUSH ? 0 : 4096;
                    client.request(request[1], request[0], 2, 0, length, null);
                    assertEquals(EINVAL, client.error(2), which);
                }
                // A long one, too, of blocks that are not marked.
                for (int bytes : new int[] {4096, 3 << 20}) {
                    for (int flag : new int[] {ChunkClient.DF, ChunkClient.NO_HOLE, 0x4000}) {
                        client.request(payload(form) | flag, WireClient.WRITE, 3, 0, bytes, new byte[bytes]);
                        assertEquals(EINVAL, client.error(3));
                    }
                }
                assertReads(client, data);
            }
        }
        assertEquals(1, TestEngine.era(device).markedBlocks(), "what was refused wrote nothing");
    }

    @Test
    void forcedUnitAccessIsTakenWithEveryCommand() throws Exception {
        for (int form : FORMS) {
            try (ChunkClient client = open(form, "base:allocation")) {
                client.request(ChunkClient.FUA | payload(form), WireClient.WRITE, 1, 0, 512, new byte[512]);
                assertEquals(0, client.error(1));
                for (int command :
                        new int[] {WireClient.TRIM, WireClient.WRITE_ZEROES, WireClient.CACHE, WireClient.READ}) {
                    client.request(ChunkClient.FUA, command, 2, 0, 512, null);
                    assertEquals(0, client.error(2), "command " + command);
                }
                client.request(ChunkClient.FUA, WireClient.FLUSH, 3, 0, 0, null);
                assertEquals(0, client.error(3));
                client.request(ChunkClient.FUA, ChunkClient.BLOCK_STATUS, 4, 0, 512, null);
                assertEquals(0, client.error(4));
            }
        }
    }

    @Test
    void flagsThatWereNotOfferedAreRefused() throws Exception {
        try (ChunkClient client = open(ChunkClient.STRUCTURED_REPLY)) {
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.READ, 1, 0, 512, null);
            assertEquals(EINVAL, client.error(1));
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 2, 0, 512, new byte[512]);
            assertEquals(EINVAL, client.error(2));
            assertReads(client, new byte[512]);
        }
        try (ChunkClient client = new ChunkClient(folder.resolve("nbd"))) {
            client.option(ChunkClient.GO, ChunkClient.named("vol"));
            client.request(ChunkClient.DF, WireClient.READ, 3, 0, 512, null);
            assertEquals(EINVAL, client.error(3));
            client.request(0, WireClient.FLUSH, 4, 0, 0, null);
            assertEquals(0, client.error(4));
        }
    }

    @Test
    void aPayloadThatNoCommandHasIsTakenAndRefused() throws Exception {
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS, "base:allocation")) {
            for (int command : new int[] {
                WireClient.READ,
                WireClient.FLUSH,
                WireClient.TRIM,
                WireClient.CACHE,
                WireClient.WRITE_ZEROES,
                ChunkClient.BLOCK_STATUS,
                99
            }) {
                for (int bytes : new int[] {1, 4096, 1 << 20}) {
                    client.request(ChunkClient.PAYLOAD_LEN, command, 5, 4096, bytes, noise(bytes));
                    assertEquals(EINVAL, client.error(5), "command " + command);
                }
            }
            assertReads(client, new byte[512]);
            client.request(ChunkClient.PAYLOAD_LEN, ChunkClient.BLOCK_STATUS, 6, 0, MAX_PAYLOAD + 1L, null);
            assertThrows(IOException.class, client::chunk);
        }
        assertEquals(0, TestEngine.era(device).markedBlocks());
    }

    @Test
    void aWriteThatDoesNotSayWhetherItsPayloadFollowsIsRefusedAndTheConnectionEnded() throws Exception {
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS)) {
            client.request(0, WireClient.WRITE, 1, 0, 4096, null);
            assertEquals(EINVAL, client.error(1));
            assertThrows(IOException.class, client::chunk);
        }
        assertEquals(0, TestEngine.era(device).markedBlocks());
    }

    @Test
    void extendedAnswersBearTheOffsetsOfTheirRequests() throws Exception {
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS, "base:allocation", "era:writes")) {
            long at = 8 << 20;
            // Unmarked, marked, in pieces; of each with and without success.
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 1, at, 4096, new byte[4096]);
            expectAll(client, 1, at);
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 2, at, 4096, new byte[4096]);
            expectAll(client, 2, at);
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 3, at, 2 << 20, new byte[2 << 20]);
            expectAll(client, 3, at);
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 4, at, 2 << 20, new byte[2 << 20]);
            expectAll(client, 4, at);
            client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 5, 64 << 20, 512, new byte[512]);
            expectAll(client, 5, 64 << 20);
            client.request(0, WireClient.TRIM, 6, at + 512, 4096, null);
            expectAll(client, 6, at + 512);
            client.request(0, WireClient.WRITE_ZEROES, 7, at + (16 << 20), 4096, null);
            expectAll(client, 7, at + (16 << 20));
            client.request(0, WireClient.CACHE, 8, at, 4096, null);
            expectAll(client, 8, at);
            client.request(0, ChunkClient.BLOCK_STATUS, 9, at, 4096, null);
            expectAll(client, 9, at);
            client.request(0, WireClient.READ, 10, at, 1000, null);
            expectAll(client, 10, at);
            // In pieces through a buffer, straight from the file, past the end.
            client.request(0, WireClient.READ, 11, at + 1, 400_000, null);
            expectAll(client, 11, at + 1);
            client.request(0, WireClient.READ, 12, 1L << 40, 512, null);
            expectAll(client, 12, 1L << 40);
            client.request(0, WireClient.READ, 13, at, 0, null);
            expectAll(client, 13, at);
            client.request(0, 99, 14, -5, 0, null);
            expectAll(client, 14, -5);
        }
    }

    private static void expectAll(ChunkClient client, long cookie, long offset) throws IOException {
        Chunk chunk;
        do {
            chunk = client.chunk();
            assertEquals(cookie, chunk.cookie());
            assertEquals(offset, chunk.offset(), "request " + cookie);
        } while (!chunk.done());
    }

    @Test
    void everyPieceOfALongReadBearsTheOffsetOfTheRequest() throws Exception {
        engine.create("mixed", "1024 zero", "131072 linear " + engine.file("plain", 64 << 20) + " 0");
        try (ChunkClient client = ChunkClient.open(folder.resolve("nbd"), "mixed", ChunkClient.EXTENDED_HEADERS)) {
            client.request(0, WireClient.READ, 1, 4096, 1 << 20, null);
            expectAll(client, 1, 4096);
        }
        // While writes wait for their marks, a read goes in pieces through a buffer.
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS)) {
            int writes = 200;
            for (int i = 0; i < writes; i++) {
                long at = (long) (writes - i) * TestEngine.BLOCK_BYTES;
                client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, at, at, 512, new byte[512]);
            }
            client.request(0, WireClient.READ, 4096 * 1000, 4096 * 1000, 1 << 20, null);
            int answered = 0;
            while (answered < writes + 1) {
                Chunk chunk = client.chunk();
                assertEquals(chunk.cookie(), chunk.offset());
                answered += chunk.done() ? 1 : 0;
            }
        }
    }

    @Test
    void aReadOfNothingHasNoDataInItsAnswer() throws Exception {
        long size = device.io().sizeBytes();
        for (int form : FORMS) {
            try (ChunkClient client = open(form)) {
                for (long offset : new long[] {0, 512, size}) {
                    client.request(0, WireClient.READ, 1, offset, 0, null);
                    Chunk answer = client.chunk();
                    assertEquals(ChunkClient.NONE, answer.type());
                    assertEquals(true, answer.done());
                    assertEquals(0, answer.body().remaining());
                }
                client.request(0, WireClient.READ, 2, size + 1, 0, null);
                assertEquals(EINVAL, client.error(2));
                assertReads(client, new byte[512]);
            }
        }
    }

    @Test
    void rangesOutsideTheDeviceGetTheErrorsThatTheProtocolNames() throws Exception {
        long size = device.io().sizeBytes();
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS, "base:allocation")) {
            long[][] ranges = {
                {0, Long.MIN_VALUE}, {0, Long.MAX_VALUE}, {0, -1}, {size, 1}, {-4096, 4096}, {Long.MAX_VALUE, 512}
            };
            for (long[] range : ranges) {
                String which = range[0] + "+" + range[1];
                for (int command :
                        new int[] {WireClient.READ, WireClient.TRIM, WireClient.CACHE, ChunkClient.BLOCK_STATUS}) {
                    client.request(0, command, 1, range[0], range[1], null);
                    assertEquals(EINVAL, client.error(1), "command " + command + " of " + which);
                }
                client.request(0, WireClient.WRITE_ZEROES, 2, range[0], range[1], null);
                assertEquals(ENOSPC, client.error(2), which);
            }
            client.request(ChunkClient.DF, WireClient.READ, 5, size - 4096, 1 << 20, null);
            assertEquals(EINVAL, client.error(5), "in shorter pieces it can't be read either");
            client.request(0, WireClient.FLUSH, 3, 512, 0, null);
            assertEquals(EINVAL, client.error(3), "a flush has no range");
            client.request(0, WireClient.FLUSH, 3, 0, 512, null);
            assertEquals(EINVAL, client.error(3), "a flush has no range");
            client.request(0, WireClient.CACHE, 4, 0, size, null);
            assertEquals(0, client.error(4));
        }
    }
}
