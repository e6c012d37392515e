// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.Served;
import org.dmera.tests.io.ChunkClient.Chunk;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Maps of a device in which no two neighbouring blocks are alike: how many runs an answer holds, and for which contexts. */
@Timeout(300)
class NbdMapTest {
    private static final int EINVAL = 22;
    private static final int BLOCKS = 600_000;
    private static final long BYTES = (long) BLOCKS * TestEngine.BLOCK_BYTES;
    /** The server's limit, of 16 bytes each in 4 MiB. */
    private static final int MAX_RUNS = 262_140;

    private static final String ALLOCATION = "base:allocation";
    private static final String WRITES = "era:writes";
    private static final String SINCE_2 = "qemu:dirty-bitmap:era-since-2";

    @TempDir
    private Path folder;

    private final List<String> log = new CopyOnWriteArrayList<>();
    private TestEngine engine;
    private MappedDevice device;

    /** Blocks were written in eras 1 and 2 in turn. */
    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        Path meta = engine.file("vol.meta", 16 << 20);
        try (FileBlockDevice file = FileBlockDevice.open(meta, true)) {
            MetadataBuilder builder = new MetadataBuilder(file);
            builder.superblock(8, BLOCKS, 2);
            builder.beginEraArray();
            ByteBuffer eras = ByteBuffer.allocate(Integer.BYTES * 1000).order(ByteOrder.LITTLE_ENDIAN);
            while (eras.hasRemaining()) {
                eras.putInt(1).putInt(2);
            }
            for (int block = 0; block < BLOCKS; block += 1000) {
                builder.eras(block, eras, 0, 1000);
            }
            builder.endEraArray();
            builder.end();
        }
        device = engine.create("vol", BYTES / 512 + " era " + meta + " " + engine.file("vol.data", BYTES) + " 8");
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
        List<String> unexpected = log.stream()
                .filter(line -> !line.contains("Broken pipe") && !line.contains("Connection reset"))
                .toList();
        assertEquals(List.of(), unexpected);
    }

    private ChunkClient open(int form, String... contexts) throws IOException {
        return ChunkClient.open(folder.resolve("nbd"), "vol", form, contexts);
    }

    /** What a client of a server with little memory does. */
    private interface Use {
        void with(NbdServer server, Path socket) throws Exception;
    }

    private void serve(long directBytes, Use use) throws Exception {
        Path socket = folder.resolve("own");
        ServerSocketChannel unix = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        unix.bind(UnixDomainSocketAddress.of(socket));
        try (NbdServer server = new NbdServer(
                new Served(directBytes), engine.exporting("vol", device.io()), log::add, Duration.ofSeconds(10))) {
            server.listenUnix(unix, socket);
            use.with(server, socket);
        }
    }

    /** The runs in an answer that are checked to be those from {@code block} on, of a block each. */
    private static int runs(Chunk answer, int block, boolean dirtiness) {
        boolean wide = answer.type() == ChunkClient.STATUS_EXT;
        ByteBuffer body = answer.body();
        body.getInt();
        int count = wide ? body.getInt() : body.remaining() / 8;
        assertEquals(count * (wide ? 16 : 8), body.remaining());
        for (int i = 0; i < count; i++) {
            long length = wide ? body.getLong() : body.getInt();
            long status = wide ? body.getLong() : body.getInt();
            if (length != TestEngine.BLOCK_BYTES || status != (block + i) % 2 + (dirtiness ? 0 : 1)) {
                throw new AssertionError(
                        "block " + (block + i) + " has status " + status + " for " + length + " bytes");
            }
        }
        return count;
    }

    /** Asks for all blocks from the first on, until it has them; returns how many runs the answers had. */
    private static List<Integer> map(ChunkClient client, boolean dirtiness) throws IOException {
        List<Integer> counts = new ArrayList<>();
        int block = 0;
        while (block < BLOCKS) {
            long at = (long) block * TestEngine.BLOCK_BYTES;
            client.request(0, ChunkClient.BLOCK_STATUS, 1, at, BYTES - at, null);
            Chunk answer = client.chunk();
            assertTrue(answer.done() && answer.error() == 0, () -> "error " + answer.error());
            counts.add(runs(answer, block, dirtiness));
            block += counts.get(counts.size() - 1);
        }
        return counts;
    }

    @Test
    void oneAnswerHoldsAsManyRunsAsFitItsBufferAndTheNextGoesOn() throws Exception {
        for (int form : List.of(ChunkClient.STRUCTURED_REPLY, ChunkClient.EXTENDED_HEADERS)) {
            for (String context : List.of(WRITES, SINCE_2)) {
                try (ChunkClient client = open(form, context)) {
                    // An answer also ends after a moment: on a busy machine many tries are cut short.
                    int most = 0;
                    for (int i = 0; i < 500 && most < MAX_RUNS; i++) {
                        most = Math.max(
                                most, map(client, context.equals(SINCE_2)).get(0));
                    }
                    assertEquals(MAX_RUNS, most, context);
                }
            }
        }
    }

    @Test
    void withoutMemoryForALongAnswerTheMapComesInShortOnes() throws Exception {
        serve(8 << 20, (server, socket) -> {
            try (ChunkClient client = ChunkClient.open(socket, "vol", ChunkClient.EXTENDED_HEADERS, WRITES)) {
                List<Integer> counts = map(client, false);
                assertTrue(counts.stream().allMatch(count -> count <= 2048), counts::toString);
                assertEquals(0, server.payloadBytes());
            }
        });
    }

    @Test
    void clientsThatDoNotTakeTheirMapsCostOthersNothingButTheirShareOfTheMemory() throws Exception {
        serve(64 << 20, (server, socket) -> {
            List<ChunkClient> stalled = new ArrayList<>();
            try {
                for (int i = 0; i < 6; i++) {
                    ChunkClient client = ChunkClient.open(socket, "vol", ChunkClient.EXTENDED_HEADERS, WRITES);
                    stalled.add(client);
                    for (int request = 0; request < 3; request++) {
                        client.request(0, ChunkClient.BLOCK_STATUS, request, 0, BYTES, null);
                    }
                }
                while (server.payloadBytes() < 8 << 20) {
                    Thread.onSpinWait();
                }
                try (ChunkClient good = ChunkClient.open(socket, "vol", ChunkClient.EXTENDED_HEADERS, WRITES)) {
                    map(good, false);
                    for (int i = 0; i < 20; i++) {
                        good.request(ChunkClient.PAYLOAD_LEN, WireClient.WRITE, i, i * 8192, 512, new byte[512]);
                        assertEquals(0, good.error(i));
                    }
                    assertTrue(server.payloadBytes() <= 8 << 20, () -> server.payloadBytes() + " bytes are held");
                }
                TestEngine.checkpoint(device);
            } finally {
                for (ChunkClient client : stalled) {
                    client.close();
                }
            }
            while (server.openConnections() > 0) {
                Thread.onSpinWait();
            }
            assertEquals(0, server.payloadBytes());
        });
    }

    private static byte[] payload(long length, int... ids) {
        ByteBuffer payload = ByteBuffer.allocate(8 + 4 * ids.length).putLong(length);
        for (int id : ids) {
            payload.putInt(id);
        }
        return payload.array();
    }

    private static void ask(ChunkClient client, int flags, long cookie, long offset, byte[] payload)
            throws IOException {
        client.request(
                flags | ChunkClient.PAYLOAD_LEN, ChunkClient.BLOCK_STATUS, cookie, offset, payload.length, payload);
    }

    @Test
    void aPayloadChoosesTheContextsThatAreAnsweredAndSaysForHowManyBytes() throws Exception {
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS, ALLOCATION, WRITES, SINCE_2)) {
            for (int[] ids : new int[][] {{2}, {1}, {2, 1}, {0, 1, 2}, {1, 0, 2}}) {
                // At an odd place, and together with others.
                long offset = 4096L * 7;
                client.request(0, WireClient.READ, 1, 0, 512, null);
                ask(client, 0, 2, offset, payload(4096L * 5, ids));
                client.request(0, WireClient.FLUSH, 3, 0, 0, null);
                assertEquals(ChunkClient.OFFSET_DATA, client.chunk().type());
                for (int i = 0; i < ids.length; i++) {
                    Chunk chunk = client.chunk();
                    assertEquals(ChunkClient.STATUS_EXT, chunk.type());
                    assertEquals(2, chunk.cookie());
                    assertEquals(offset, chunk.offset());
                    assertEquals(ids[i], chunk.body().getInt(0));
                    assertEquals(i == ids.length - 1, chunk.done());
                    if (ids[i] > 0) {
                        assertEquals(5, runs(chunk, 7, ids[i] == 2));
                    }
                }
                assertEquals(0, client.error(3));
            }
            ask(client, ChunkClient.REQ_ONE | ChunkClient.FUA, 4, 4096, payload(BYTES - 4096, 1));
            assertEquals(1, runs(client.chunk(), 1, false));
            // Without a payload all are answered, as ever.
            client.request(0, ChunkClient.BLOCK_STATUS, 5, 0, 4096, null);
            for (int id = 0; id < 3; id++) {
                assertEquals(id, client.chunk().body().getInt(0));
            }
        }
    }

    @Test
    void aPayloadThatIsWrongFailsItsRequestAloneAndSaysWhy() throws Exception {
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS, WRITES, SINCE_2)) {
            Object[][] wrong = {
                {new byte[0], "payload of 0 bytes"},
                {new byte[4], "payload of 4 bytes"},
                {payload(4096), "payload of 8 bytes"},
                {new byte[13], "payload of 13 bytes"},
                {new byte[524], "payload of 524 bytes"},
                {new byte[300_000], "payload of 300000 bytes"},
                {payload(4096, 2), "context 2 was not agreed on"},
                {payload(4096, 0, -1), "context 4294967295 was not agreed on"},
                {payload(4096, 1, 0, 1), "context 1 is named twice"},
                {payload(0, 0), "outside the device"},
                {payload(-1, 0), "outside the device"},
                {payload(BYTES + 1, 0), "outside the device"},
            };
            for (Object[] each : wrong) {
                ask(client, 0, 1, 0, (byte[]) each[0]);
                Chunk answer = client.chunk();
                assertTrue(answer.done());
                assertEquals(EINVAL, answer.error());
                String text = new String(answer.body().array(), java.nio.charset.StandardCharsets.UTF_8);
                assertTrue(text.contains((String) each[1]), text);
                ask(client, 0, 2, 0, payload(4096, 0));
                assertEquals(1, runs(client.chunk(), 0, false));
            }
        }
        try (ChunkClient client = open(ChunkClient.EXTENDED_HEADERS)) {
            ask(client, 0, 1, 0, payload(4096, 0));
            assertEquals(EINVAL, client.error(1));
            client.request(0, WireClient.FLUSH, 2, 0, 0, null);
            assertEquals(0, client.error(2));
        }
        try (ChunkClient client = open(ChunkClient.STRUCTURED_REPLY, WRITES)) {
            // There it is no flag, and so nothing follows.
            client.request(ChunkClient.PAYLOAD_LEN, ChunkClient.BLOCK_STATUS, 1, 0, 4096, null);
            assertEquals(EINVAL, client.error(1));
            client.request(0, WireClient.FLUSH, 2, 0, 0, null);
            assertEquals(0, client.error(2));
        }
    }

    /** libnbd asks so since 1.18. */
    @Test
    void libnbdChoosesContextsByPayload() throws Exception {
        String root = System.getenv().getOrDefault("ERA_PEER_NBD_ROOT", "/opt/nbd-peers-trixie");
        Path nbdsh = Path.of(root, "era-bin/nbdsh");
        assumeTrue(Files.isExecutable(nbdsh), "needs tests/peers/fetch-nbd");
        String script = String.join(
                "\n",
                "for c in ('" + ALLOCATION + "', '" + WRITES + "', '" + SINCE_2 + "'): h.add_meta_context(c)",
                "h.connect_uri('" + engine.uri("vol") + "')",
                "assert h.can_block_status_payload()",
                "def seen(context, offset, extents, error): print(context, offset, extents)",
                "h.block_status_filter(12288, 4096, ['" + SINCE_2 + "', '" + WRITES + "'], seen)",
                "h.block_status_filter(8192, 0, ['" + WRITES + "'], seen, nbd.CMD_FLAG_REQ_ONE)");
        Host.Result result = Host.run(folder, nbdsh.toString(), "-c", script);
        List<String> expected = List.of(
                SINCE_2 + " 4096 [(4096, 1), (4096, 0), (4096, 1)]",
                WRITES + " 4096 [(4096, 2), (4096, 1), (4096, 2)]",
                WRITES + " 0 [(4096, 1)]");
        assertEquals(
                expected.stream().sorted().toList(),
                result.good().lines().sorted().toList());
    }

    @Test
    void thatAPayloadMayChooseIsSaidWhereItMay() throws Exception {
        assertEquals(false, choosing(ChunkClient.STRUCTURED_REPLY, ChunkClient.GO, "vol"));
        assertEquals(false, choosing(ChunkClient.STRUCTURED_REPLY, ChunkClient.INFO, "vol"));
        assertEquals(true, choosing(ChunkClient.EXTENDED_HEADERS, ChunkClient.GO, "vol"));
        assertEquals(true, choosing(ChunkClient.EXTENDED_HEADERS, ChunkClient.INFO, "vol"));
        // Who has no contexts can't choose from them; who asks before it sets them is told.
        assertEquals(false, choosing(ChunkClient.EXTENDED_HEADERS, ChunkClient.GO, null));
        assertEquals(true, choosing(ChunkClient.EXTENDED_HEADERS, ChunkClient.INFO, null));
    }

    private boolean choosing(int form, int option, String contextsOf) throws IOException {
        try (ChunkClient client = new ChunkClient(folder.resolve("nbd"))) {
            client.option(form);
            if (contextsOf != null) {
                client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries(contextsOf, WRITES));
            }
            ByteBuffer info =
                    client.option(option, ChunkClient.named("vol")).get(0).body();
            assertEquals(0, info.getShort());
            assertEquals(BYTES, info.getLong());
            return (info.getShort() & 1 << 12) != 0;
        }
    }
}
