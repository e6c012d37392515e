// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Extended headers, with their 64-bit lengths, which clients of this day are only beginning to speak. */
@Timeout(60)
class ExtendedHeadersTest {
    private static final long OPTION_MAGIC = 0x49484156454F5054L;
    private static final int GO = 7;
    private static final int SET_META_CONTEXT = 10;
    private static final int EXTENDED_HEADERS = 11;
    private static final int ACK = 1;
    private static final int READ = 0;
    private static final int WRITE = 1;
    private static final int WRITE_ZEROES = 6;
    private static final int BLOCK_STATUS = 7;
    private static final int CHUNK_OFFSET_DATA = 1;
    private static final int CHUNK_BLOCK_STATUS_EXT = 6;
    private static final int CHUNK_ERROR = 32769;

    @TempDir
    private Path folder;

    /** A chunk of an answer. */
    private record Chunk(boolean done, int type, long cookie, long offset, ByteBuffer body) {}

    private WireClient client;

    private List<ByteBuffer> option(int option, ByteBuffer data) throws IOException {
        data.flip();
        client.send(ByteBuffer.allocate(16 + data.remaining())
                .putLong(OPTION_MAGIC)
                .putInt(option)
                .putInt(data.remaining())
                .put(data));
        List<ByteBuffer> replies = new ArrayList<>();
        while (true) {
            ByteBuffer head = client.receive(20);
            assertEquals(0x0003e889045565a9L, head.getLong());
            assertEquals(option, head.getInt());
            int type = head.getInt();
            ByteBuffer body = client.receive(head.getInt());
            if (type == ACK) {
                return replies;
            }
            assertEquals(
                    0, type >>> 31, () -> StandardCharsets.UTF_8.decode(body).toString());
            replies.add(body);
        }
    }

    private void request(int command, long cookie, long offset, long length, byte[] payload) throws IOException {
        ByteBuffer request = ByteBuffer.allocate(32 + (payload == null ? 0 : payload.length));
        request.putInt(0x21e41c71).putShort((short) 0).putShort((short) command);
        request.putLong(cookie).putLong(offset).putLong(length);
        client.send(payload == null ? request : request.put(payload));
    }

    private Chunk chunk() throws IOException {
        ByteBuffer head = client.receive(32);
        assertEquals(0x6e8a278c, head.getInt());
        boolean done = head.getShort() == 1;
        int type = Short.toUnsignedInt(head.getShort());
        long cookie = head.getLong();
        long offset = head.getLong();
        return new Chunk(done, type, cookie, offset, client.receive((int) head.getLong()));
    }

    @Test
    void requestsAnswersAndExtentsAre64BitsWide() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            // 6 GiB: more than 32 bits of length.
            long bytes = 6L << 30;
            Path meta = engine.file("meta", 64 << 20);
            Path data = engine.file("data", bytes);
            MappedDevice device = engine.create("vol", bytes / 512 + " era " + meta + " " + data + " 128");
            client = new WireClient(folder.resolve("nbd"));
            client.receive(18);
            client.send(ByteBuffer.allocate(4).putInt(3));
            option(EXTENDED_HEADERS, ByteBuffer.allocate(0));
            byte[] name = "vol".getBytes(StandardCharsets.UTF_8);
            byte[] query = "era:writes".getBytes(StandardCharsets.UTF_8);
            option(
                    SET_META_CONTEXT,
                    ByteBuffer.allocate(64)
                            .putInt(name.length)
                            .put(name)
                            .putInt(1)
                            .putInt(query.length)
                            .put(query));
            option(GO, ByteBuffer.allocate(64).putInt(name.length).put(name).putShort((short) 0));

            byte[] noise = new byte[8192];
            new Random(1).nextBytes(noise);
            request(WRITE, 1, 5L << 30, noise.length, noise);
            assertDone(1);
            request(READ, 2, 5L << 30, noise.length, null);
            Chunk read = chunk();
            assertEquals(CHUNK_OFFSET_DATA, read.type);
            assertEquals(5L << 30, read.body.getLong());
            byte[] back = new byte[noise.length];
            read.body.get(back);
            assertArrayEquals(noise, back);

            request(WRITE_ZEROES, 3, 0, 5L << 30, null);
            assertDone(3);
            request(BLOCK_STATUS, 4, 0, bytes, null);
            Chunk status = chunk();
            assertEquals(CHUNK_BLOCK_STATUS_EXT, status.type);
            status.body.getInt();
            assertEquals(2, status.body.getInt(), "runs");
            assertEquals((5L << 30) + (64 << 10), status.body.getLong());
            assertEquals(1, status.body.getLong());
            assertEquals((1L << 30) - (64 << 10), status.body.getLong());
            assertEquals(0, status.body.getLong());

            request(READ, 5, bytes, 512, null);
            Chunk error = chunk();
            assertEquals(CHUNK_ERROR, error.type);
            assertEquals(22, error.body.getInt());
            client.close();
            assertEquals(1, device.io().currentEra());
        }
    }

    private void assertDone(long cookie) throws IOException {
        Chunk answer = chunk();
        assertEquals(cookie, answer.cookie);
        assertEquals(true, answer.done);
        assertEquals(0, answer.type);
        assertEquals(0, answer.body.remaining());
    }
}
