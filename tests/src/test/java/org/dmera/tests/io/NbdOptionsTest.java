// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What the protocol says of the talk before the first request. */
@Timeout(300)
class NbdOptionsTest {
    private static final int EINVAL = 22;

    @TempDir
    private Path folder;

    private TestEngine engine;
    private MappedDevice device;
    private ChunkClient client;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        device = engine.createEra("vol", 16);
        client = new ChunkClient(folder.resolve("nbd"));
    }

    @AfterEach
    void stop() throws IOException {
        client.close();
        engine.close();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void structuredRepliesCannotBeAskedForAfterExtendedHeaders() throws Exception {
        assertEquals(ChunkClient.ACK, client.outcome(ChunkClient.STRUCTURED_REPLY));
        assertEquals(ChunkClient.ACK, client.outcome(ChunkClient.EXTENDED_HEADERS));
        assertEquals(ChunkClient.ERR_EXT_HEADER_REQD, client.outcome(ChunkClient.STRUCTURED_REPLY));
        assertEquals(ChunkClient.ACK, client.outcome(ChunkClient.GO, ChunkClient.named("vol")));
        client.request(0, WireClient.FLUSH, 1, 0, 0, null);
        assertEquals(0, client.error(1));
    }

    @Test
    void optionsWithoutDataRefuseData() throws Exception {
        for (int option : List.of(ChunkClient.STRUCTURED_REPLY, ChunkClient.EXTENDED_HEADERS, ChunkClient.LIST)) {
            assertEquals(ChunkClient.ERR_INVALID, client.outcome(option, (byte) 1), "option " + option);
        }
        assertEquals(ChunkClient.ERR_INVALID, client.outcome(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol")));
        assertEquals(ChunkClient.ERR_UNSUP, client.outcome(4242, utf8("whatever it be")));
        assertEquals(ChunkClient.ACK, client.outcome(ChunkClient.ABORT, utf8("reasons")), "the data of it is ignored");
        assertThrows(IOException.class, () -> client.option(ChunkClient.LIST));
    }

    @Test
    void lengthsThatDoNotAddUpAreRefusedAndTheTalkGoesOn() throws Exception {
        client.option(ChunkClient.STRUCTURED_REPLY);
        byte[] good = ChunkClient.named("vol", 3);
        byte[] longer = ByteBuffer.allocate(good.length + 1).put(good).array();
        byte[] name = ByteBuffer.allocate(good.length).put(good).putInt(0, 4000).array();
        byte[] queries = ChunkClient.queries("vol", "base:allocation");
        byte[] more =
                ByteBuffer.allocate(queries.length).put(queries).putInt(7, 2).array();
        byte[] negative =
                ByteBuffer.allocate(queries.length).put(queries).putInt(7, -1).array();
        for (int option : List.of(ChunkClient.INFO, ChunkClient.GO)) {
            for (byte[] bad : List.of(longer, name, new byte[0], new byte[3])) {
                assertEquals(ChunkClient.ERR_INVALID, client.outcome(option, bad));
            }
            assertEquals(ChunkClient.ERR_UNKNOWN, client.outcome(option, ChunkClient.named("nobody")));
        }
        for (int option : List.of(ChunkClient.LIST_META_CONTEXT, ChunkClient.SET_META_CONTEXT)) {
            for (byte[] bad : List.of(more, negative, new byte[0])) {
                assertEquals(ChunkClient.ERR_INVALID, client.outcome(option, bad));
            }
            assertEquals(ChunkClient.ERR_UNKNOWN, client.outcome(option, ChunkClient.queries("nobody")));
        }
        assertEquals(ChunkClient.ACK, client.outcome(ChunkClient.INFO, good));
        assertEquals(ChunkClient.ACK, client.outcome(ChunkClient.GO, good));
        assertEquals(1, device.openCount());
    }

    @Test
    void theOldWayToChooseAnExportKeepsTheContextsThatWereSetForIt() throws Exception {
        client.option(ChunkClient.STRUCTURED_REPLY);
        client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", "era:writes"));
        client.sendOption(ChunkClient.EXPORT_NAME, utf8("vol"));
        client.wire.receive(10);
        client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, 4096, null);
        ChunkClient.Chunk status = client.chunk();
        assertEquals(ChunkClient.STATUS, status.type());
    }

    @Test
    void theOldWayToChooseAnExportEndsATalkAboutExtendedHeaders() throws Exception {
        client.option(ChunkClient.EXTENDED_HEADERS);
        client.sendOption(ChunkClient.EXPORT_NAME, utf8("vol"));
        assertThrows(IOException.class, () -> client.wire.receive(1));
    }

    @Test
    void contextsCountForTheirExportAloneAndTheLastOnesCount() throws Exception {
        engine.createEra("other", 16);
        client.option(ChunkClient.STRUCTURED_REPLY);
        client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("other", "era:writes"));
        client.option(ChunkClient.GO, ChunkClient.named("vol"));
        client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, 4096, null);
        assertEquals(EINVAL, client.error(1));
        client.close();
        client = new ChunkClient(folder.resolve("nbd"));
        client.option(ChunkClient.STRUCTURED_REPLY);
        client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", "era:writes"));
        // Fails, and takes the contexts away all the same.
        assertEquals(
                ChunkClient.ERR_UNKNOWN, client.outcome(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("nobody")));
        client.option(ChunkClient.GO, ChunkClient.named("vol"));
        client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, 4096, null);
        assertEquals(EINVAL, client.error(1));
    }

    @Test
    void wildcardsListAndSelectNothing() throws Exception {
        client.option(ChunkClient.STRUCTURED_REPLY);
        assertEquals(
                3,
                client.option(ChunkClient.LIST_META_CONTEXT, ChunkClient.queries("vol"))
                                .size()
                        - 1);
        for (String wildcard : List.of("base:", "era:", "qemu:", "qemu:dirty-bitmap:")) {
            byte[] query = ChunkClient.queries("vol", wildcard);
            assertEquals(2, client.option(ChunkClient.LIST_META_CONTEXT, query).size(), wildcard);
            assertEquals(1, client.option(ChunkClient.SET_META_CONTEXT, query).size(), wildcard);
        }
        byte[] strange =
                ChunkClient.queries("vol", "", "no colon", "x-nobody:knows", "base:unheard-of", "base:allocation");
        assertEquals(2, client.option(ChunkClient.SET_META_CONTEXT, strange).size());
        assertEquals(
                1,
                client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol"))
                        .size());
    }

    @Test
    void moreContextsThanAnybodyNeedsAreRefused() throws Exception {
        for (int i = 0; i < 200; i++) {
            TestEngine.checkpoint(device);
        }
        client.option(ChunkClient.STRUCTURED_REPLY);
        String[] all = IntStream.rangeClosed(1, 200)
                .mapToObj(i -> "qemu:dirty-bitmap:era-since-" + i)
                .toArray(String[]::new);
        assertEquals(
                ChunkClient.ERR_TOO_BIG, client.outcome(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", all)));
        String[] some = java.util.Arrays.copyOf(all, 64);
        assertEquals(
                65,
                client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", some))
                        .size());
        client.option(ChunkClient.GO, ChunkClient.named("vol"));
        client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, 4096, null);
        for (int i = 0; i < 64; i++) {
            assertEquals(i == 63, client.chunk().done());
        }
    }

    private String tokenOfNow() throws IOException {
        client.option(ChunkClient.STRUCTURED_REPLY);
        ByteBuffer name = client.option(
                        ChunkClient.LIST_META_CONTEXT, ChunkClient.queries("vol", "qemu:dirty-bitmap:era-since-now"))
                .get(0)
                .body();
        name.getInt();
        return StandardCharsets.UTF_8.decode(name).toString();
    }

    @Test
    void aTokenOfThisMomentSelectsWhatIsWrittenSinceLaterOn() throws Exception {
        device.io().write(0, ByteBuffer.allocate(4096), 0);
        TestEngine.checkpoint(device);
        String context = tokenOfNow();
        assertTrue(context.startsWith("qemu:dirty-bitmap:era-since-2-"), context);
        device.io().write(8192, ByteBuffer.allocate(4096), 0);
        TestEngine.checkpoint(device);
        device.suspend();
        device.resume();
        assertEquals(
                ChunkClient.REP_META_CONTEXT,
                client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", context))
                        .get(0)
                        .type());
        client.option(ChunkClient.GO, ChunkClient.named("vol"));
        client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, 16384, null);
        ByteBuffer runs = client.chunk().body();
        runs.getInt();
        int[] expected = {8192, 0, 4096, 1, 4096, 0};
        for (int each : expected) {
            assertEquals(each, runs.getInt());
        }
    }

    @Test
    void aTokenOfMetadataThatWasMadeAnewIsRefusedThoughTheEraHasPassed() throws Exception {
        for (int block = 0; block < 5; block++) {
            device.io().write(block * 4096L, ByteBuffer.allocate(4096), 0);
            TestEngine.checkpoint(device);
        }
        String context = tokenOfNow();
        device.load(
                TestEngine.specs(
                        32768 + " era " + engine.file("meta2", 8 << 20) + " " + folder.resolve("vol.data") + " 8"),
                false);
        device.resume();
        while (device.io().currentEra() < 20) {
            device.io().write(device.io().currentEra() * 4096, ByteBuffer.allocate(4096), 0);
            TestEngine.checkpoint(device);
        }
        List<ChunkClient.Reply> replies =
                client.option(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", context));
        assertEquals(ChunkClient.ERR_INVALID, replies.get(0).type());
        String why = StandardCharsets.UTF_8.decode(replies.get(0).body()).toString();
        assertTrue(why.contains("made anew"), why);
        // Nor does what was selected before stay selected.
        client.option(ChunkClient.GO, ChunkClient.named("vol"));
        client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, 4096, null);
        assertEquals(EINVAL, client.error(1));
    }

    @Test
    void aTokenThatIsCutOrChangedIsRefused() throws Exception {
        String context = tokenOfNow();
        for (String bad : List.of(
                context.substring(0, context.length() - 5),
                context.replace("since-1-", "since-2-"),
                "qemu:dirty-bitmap:era-since-1-",
                "qemu:dirty-bitmap:era-since-1-*")) {
            assertEquals(
                    ChunkClient.ERR_INVALID,
                    client.outcome(ChunkClient.SET_META_CONTEXT, ChunkClient.queries("vol", bad)),
                    bad);
        }
    }

    @Test
    void errorsAreTextsOfAPermittedLengthInWholeCharacters() throws Exception {
        String name = "\u00e4".repeat(2048);
        List<ChunkClient.Reply> replies = client.option(ChunkClient.GO, ChunkClient.named(name));
        assertEquals(ChunkClient.ERR_UNKNOWN, replies.get(0).type());
        ByteBuffer text = replies.get(0).body();
        assertTrue(text.remaining() > 4000 && text.remaining() <= 4096, text.remaining() + " bytes");
        assertTrue(StandardCharsets.UTF_8.newDecoder().decode(text).toString().contains("no device"));
    }

    @Test
    void zeroesFollowTheOldAnswerUnlessTheyAreDeclined() throws Exception {
        for (int flags : new int[] {1, 3}) {
            try (WireClient old = new WireClient(folder.resolve("nbd"))) {
                old.receive(18);
                old.send(ByteBuffer.allocate(23)
                        .putInt(flags)
                        .putLong(0x49484156454F5054L)
                        .putInt(ChunkClient.EXPORT_NAME)
                        .putInt(3)
                        .put(utf8("vol")));
                assertEquals(device.io().sizeBytes(), old.receive(10).getLong());
                if (flags == 1) {
                    ByteBuffer zeroes = old.receive(124);
                    while (zeroes.hasRemaining()) {
                        assertEquals(0, zeroes.get());
                    }
                }
                old.request(WireClient.FLUSH, 9, 0, 0, null);
                assertEquals(new WireClient.Answer(0, 9), old.answer());
            }
        }
        try (WireClient odd = new WireClient(folder.resolve("nbd"))) {
            odd.receive(18);
            odd.send(ByteBuffer.allocate(4).putInt(7));
            assertThrows(IOException.class, () -> odd.receive(1));
        }
    }

    @Test
    void informationIsGivenForAnExportThatIsNotChosen() throws Exception {
        List<ChunkClient.Reply> replies = client.option(ChunkClient.INFO, ChunkClient.named("vol", 0, 1, 3, 77));
        boolean[] seen = new boolean[4];
        for (ChunkClient.Reply reply : replies.subList(0, replies.size() - 1)) {
            assertEquals(ChunkClient.REP_INFO, reply.type());
            seen[reply.body().getShort()] = true;
        }
        assertTrue(seen[0] && seen[1] && seen[3]);
        assertEquals(0, device.openCount(), "asking is not using");
    }
}
