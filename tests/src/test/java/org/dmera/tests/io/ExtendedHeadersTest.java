// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.tests.io.ChunkClient.Chunk;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Extended headers, with their 64-bit lengths, which clients of this day are only beginning to speak. */
@Timeout(300)
class ExtendedHeadersTest {
    @TempDir
    private Path folder;

    @Test
    void requestsAnswersAndExtentsAre64BitsWide() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            // 6 GiB: more than 32 bits of length.
            long bytes = 6L << 30;
            Path meta = engine.file("meta", 64 << 20);
            Path data = engine.file("data", bytes);
            MappedDevice device = engine.create("vol", bytes / 512 + " era " + meta + " " + data + " 128");
            try (ChunkClient client =
                    ChunkClient.open(folder.resolve("nbd"), "vol", ChunkClient.EXTENDED_HEADERS, "era:writes")) {
                talk(client, bytes);
            }
            assertEquals(1, device.io().currentEra());
        }
    }

    private static void talk(ChunkClient client, long bytes) throws IOException {
        byte[] noise = new byte[8192];
        new Random(1).nextBytes(noise);
        client.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, 1, 5L << 30, noise.length, noise);
        assertDone(client, 1);
        client.request(0, WireClient.READ, 2, 5L << 30, noise.length, null);
        Chunk read = client.chunk();
        assertEquals(ChunkClient.OFFSET_DATA, read.type());
        assertEquals(5L << 30, read.body().getLong());
        byte[] back = new byte[noise.length];
        read.body().get(back);
        assertArrayEquals(noise, back);

        client.request(0, WireClient.WRITE_ZEROES, 3, 0, 5L << 30, null);
        assertDone(client, 3);
        assertEquals(
                List.of((5L << 30) + (64 << 10), 1L, (1L << 30) - (64 << 10), 0L),
                runs(client, bytes),
                "runs and eras");

        client.request(0, WireClient.READ, 5, bytes, 512, null);
        Chunk error = client.chunk();
        assertEquals(ChunkClient.ERROR, error.type());
        assertEquals(22, error.body().getInt());
    }

    /** The lengths and eras of all runs: an answer may cover less than what was asked for. */
    private static List<Long> runs(ChunkClient client, long bytes) throws IOException {
        List<Long> runs = new ArrayList<>();
        long at = 0;
        while (at < bytes) {
            client.request(0, ChunkClient.BLOCK_STATUS, 4, at, bytes - at, null);
            Chunk status = client.chunk();
            assertEquals(ChunkClient.STATUS_EXT, status.type());
            ByteBuffer body = status.body();
            body.getInt();
            assertEquals(body.getInt(), body.remaining() / 16);
            while (body.hasRemaining()) {
                long length = body.getLong();
                long era = body.getLong();
                int last = runs.size() - 1;
                if (last > 0 && runs.get(last) == era) {
                    runs.set(last - 1, runs.get(last - 1) + length);
                } else {
                    runs.addAll(List.of(length, era));
                }
                at += length;
            }
        }
        return runs;
    }

    private static void assertDone(ChunkClient client, long cookie) throws IOException {
        Chunk answer = client.chunk();
        assertEquals(cookie, answer.cookie());
        assertEquals(true, answer.done());
        assertEquals(ChunkClient.NONE, answer.type());
        assertEquals(0, answer.body().remaining());
    }
}
