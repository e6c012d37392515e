// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Devices that fail beneath an era device, as its NBD clients and its operator see it. */
@Timeout(300)
class FaultTest {
    private static final int EIO = 5;
    private static final int EINVAL = 22;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final int DATA_SECTORS = 64 << 11;

    @TempDir
    private Path folder;

    private TestEngine engine;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private WireClient open(String name) throws IOException {
        return WireClient.open(folder.resolve("nbd"), name);
    }

    private static byte[] noise(int seed) {
        byte[] data = new byte[BLOCK];
        new Random(seed).nextBytes(data);
        return data;
    }

    private static String status(MappedDevice device) throws IOException {
        return device.lines(false, false).get(0).params();
    }

    @Test
    void anErrorOfTheOriginFailsThatRequestAlone() throws Exception {
        Path data = engine.file("data", (long) DATA_SECTORS * 512);
        int half = DATA_SECTORS / 2;
        engine.create("bad", half + " linear " + data + " 0", half + " error");
        Path meta = engine.file("meta", 8 << 20);
        MappedDevice device = engine.create("vol", DATA_SECTORS + " era " + meta + " engine:bad 8");
        long bad = (long) half * 512;
        try (WireClient client = open("vol")) {
            assertEquals(0, client.write(0, noise(1)));
            assertEquals(EIO, client.write(bad, noise(2)));
            assertEquals(EIO, client.write(bad - 512, new byte[1024]), "the border is within the request");
            assertNull(client.read(bad, BLOCK));
            assertEquals(EIO, client.write(bad, noise(2)), "marked by now, and still bad");
            assertEquals(0, client.write(BLOCK, noise(3)));
            assertArrayEquals(noise(1), client.read(0, BLOCK));
        }
        assertFalse(status(device).contains("Error"), "the record is fine: " + status(device));
        assertEquals(1, TestEngine.eras(device)[half / 8], "a write that failed may have changed something");
    }

    @Test
    void aFailingMetadataDeviceFailsOnlyWhatNeedsAMark() throws Exception {
        Path data = engine.file("data", (long) DATA_SECTORS * 512);
        Path metaFile = engine.file("meta", 8 << 20);
        MappedDevice meta = engine.create("meta", "16384 linear " + metaFile + " 0");
        MappedDevice device = engine.create("vol", DATA_SECTORS + " era engine:meta " + data + " 8");
        try (WireClient client = open("vol")) {
            assertEquals(0, client.write(0, noise(1)));
            reload(meta, "16384 error");
            assertEquals(EIO, client.write(BLOCK, noise(2)));
            assertArrayEquals(new byte[BLOCK], client.read(BLOCK, BLOCK), "it did not reach the origin");
            assertEquals(0, client.write(0, noise(3)), "a marked block");
            assertArrayEquals(noise(3), client.read(0, BLOCK));
            assertEquals("Error", status(device));
            assertNotNull(TestEngine.era(device).failure());

            reload(meta, "16384 linear " + metaFile + " 0");
            assertEquals("Error", status(device), "until it is resumed");
            device.suspend();
            device.resume();
            assertNotEquals("Error", status(device));
            assertEquals(1, TestEngine.eras(device)[0]);
            assertEquals(0, client.write(BLOCK, noise(4)));
            assertEquals(2, TestEngine.eras(device)[1]);
        }
        device.suspend();
        awaitClosed(device);
        engine.engine.registry().remove(device, false);
    }

    private static void reload(MappedDevice device, String line) throws IOException {
        device.load(TestEngine.specs(line), false);
        device.suspend();
        device.resume();
    }

    @Test
    void aFullMetadataDeviceFailsOnlyWhatNeedsAMarkAndCanBeRemoved() throws Exception {
        Path data = engine.file("data", (long) DATA_SECTORS * 512);
        // Room for the era array and little more.
        Path meta = engine.file("meta", (DATA_SECTORS / 8 / 510 + 12L) * BLOCK);
        MappedDevice device = engine.create("vol", DATA_SECTORS + " era " + meta + " " + data + " 8");
        try (WireClient client = open("vol")) {
            assertEquals(0, client.write(0, noise(1)));
            IOException refused = null;
            int error = 0;
            device.message(0, List.of("take_metadata_snap"));
            for (int i = 1; error == 0 && refused == null && i < DATA_SECTORS / 8; i += 300) {
                error = client.write((long) i * BLOCK, noise(2));
                try {
                    TestEngine.checkpoint(device);
                } catch (IOException e) {
                    refused = e;
                }
            }
            assertEquals("Error", status(device));
            assertTrue(
                    TestEngine.era(device).failure().contains("no space"),
                    TestEngine.era(device).failure());
            assertEquals(EIO, client.write((long) (DATA_SECTORS / 8 - 1) * BLOCK, noise(3)));
            assertArrayEquals(noise(1), client.read(0, BLOCK));
        }
        device.suspend();
        assertEquals("Error", status(device));
        awaitClosed(device);
        engine.engine.registry().remove(device, false);
    }

    @Test
    void metadataThatIsFullOfAHeldSnapshotGoesOnFromItsDumpAndKeepsEveryMark() throws Exception {
        Path data = engine.file("data", (long) DATA_SECTORS * 512);
        Path meta = engine.file("meta", (DATA_SECTORS / 8 / 510 + 18L) * BLOCK);
        MappedDevice device = engine.create("vol", DATA_SECTORS + " era " + meta + " " + data + " 8");
        long[] acknowledged = new long[DATA_SECTORS / 8];
        device.message(0, List.of("take_metadata_snap"));
        writeUntilItIsFull(device, acknowledged);
        awaitClosed(device);
        assertEquals("Error", status(device));
        engine.engine.registry().remove(device, false);

        // What the manual says.
        Path xml = folder.resolve("era.xml");
        Path larger = engine.file("larger", 8 << 20);
        run("era_dump", "-o", xml.toString(), meta.toString());
        run("era_restore", "-i", xml.toString(), "-o", larger.toString());
        run("era_check", larger.toString());
        MappedDevice again = engine.create("vol", DATA_SECTORS + " era " + larger + " " + data + " 8");
        assertTrue(status(again).endsWith(" -"), "no snapshot is held: " + status(again));
        long[] eras = TestEngine.eras(again);
        long marked = 0;
        for (int block = 0; block < acknowledged.length; block++) {
            assertTrue(
                    eras[block] >= acknowledged[block],
                    "block " + block + " was written in " + acknowledged[block] + ", and is known as of "
                            + eras[block]);
            marked += acknowledged[block] > 0 ? 1 : 0;
        }
        assertTrue(marked > 10, marked + " writes were acknowledged");
        try (WireClient client = open("vol")) {
            assertEquals(0, client.write((long) (DATA_SECTORS / 8 - 1) * BLOCK, noise(3)));
        }
        TestEngine.checkpoint(again);
        again.message(0, List.of("take_metadata_snap"));
        again.message(0, List.of("drop_metadata_snap"));
        // The snapshot is where it was, for a backup that still wants it.
        run("era_dump", "--metadata-snapshot", "-o", xml.toString(), meta.toString());
    }

    /** Writes and begins new eras until one of both fails; notes the era of each write that was acknowledged. */
    private void writeUntilItIsFull(MappedDevice device, long[] acknowledged) throws IOException {
        try (WireClient client = open("vol")) {
            for (int round = 0; ; round++) {
                for (int i = 0; i < 20; i++) {
                    int block = (round * 331 + i * 97) % acknowledged.length;
                    long era = TestEngine.era(device).currentEra();
                    if (client.write((long) block * BLOCK, noise(round)) != 0) {
                        return;
                    }
                    acknowledged[block] = era;
                }
                try {
                    TestEngine.checkpoint(device);
                } catch (IOException full) {
                    assertTrue(TestEngine.era(device).failure().contains("no space"), full.toString());
                    return;
                }
            }
        }
    }

    private static void run(String tool, String... words) {
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = CommandLine.run(
                Commands.find(tool),
                words,
                InputStream.nullInputStream(),
                OutputStream.nullOutputStream(),
                new PrintStream(err, true, StandardCharsets.UTF_8));
        assertEquals(0, code, tool + ": " + err.toString(StandardCharsets.UTF_8));
    }

    private static void awaitClosed(MappedDevice device) {
        while (device.openCount() > 0) {
            Thread.onSpinWait();
        }
    }

    @Test
    void aBadSectorInALongReadIsAnErrorAndTheNextRequestIsServedWhateverTheFormOfReplies() throws Exception {
        Path data = engine.file("data", 4 << 20);
        int half = (2 << 20) / 512;
        engine.create(
                "bad", half + " linear " + data + " 0", "8 error", half - 8 + " linear " + data + " " + (half + 8));
        try (WireClient client = open("bad")) {
            for (int length : new int[] {4096, 65536, 131_072, 256 << 10, 1 << 20, 2 << 20}) {
                client.request(WireClient.READ, length, half * 512L - length / 2, length, null);
                assertEquals(new WireClient.Answer(EIO, length), client.answer(), length + " bytes");
                assertEquals(512, client.read(0, 512).length);
            }
            long size = 4 << 20;
            for (int length : new int[] {4096, 256 << 10, 4 << 20, 32 << 20}) {
                client.request(WireClient.READ, length, size - length / 2, length, null);
                assertEquals(new WireClient.Answer(EINVAL, length), client.answer(), length + " bytes");
                assertEquals(512, client.read(0, 512).length);
            }
            client.request(WireClient.READ, 1, -4096, 256 << 10, null);
            assertEquals(new WireClient.Answer(EINVAL, 1), client.answer());
        }
        for (int form : new int[] {ChunkClient.STRUCTURED_REPLY, ChunkClient.EXTENDED_HEADERS}) {
            try (ChunkClient client = ChunkClient.open(folder.resolve("nbd"), "bad", form)) {
                client.request(0, WireClient.READ, 1, half * 512L - (1 << 19), 1 << 20, null);
                assertEquals(EIO, lastError(client, 1));
                client.request(0, WireClient.READ, 2, (4 << 20) - (1 << 19), 1 << 20, null);
                assertEquals(EINVAL, lastError(client, 2));
                client.request(0, WireClient.READ, 3, 0, 512, null);
                assertEquals(0, lastError(client, 3));
            }
        }
    }

    private static int lastError(ChunkClient client, long cookie) throws IOException {
        while (true) {
            ChunkClient.Chunk chunk = client.chunk();
            assertEquals(cookie, chunk.cookie());
            if (chunk.done()) {
                return chunk.error();
            }
        }
    }

    @Test
    void nothingIsSentBetweenThePartsOfALongSimpleReply() throws Exception {
        MappedDevice device = engine.createEra("vol", 64);
        byte[] data = new byte[6 << 20];
        new Random(5).nextBytes(data);
        try (WireClient client = open("vol")) {
            assertEquals(0, client.write(0, data));
            for (int round = 0; round < 5; round++) {
                TestEngine.checkpoint(device);
                // Answers to writes that wait for marks come from other threads, while the data of the read are sent.
                int writes = 64;
                for (int i = 0; i < writes; i++) {
                    client.request(WireClient.WRITE, 100 + i, (8L << 20) + (long) i * BLOCK, 512, new byte[512]);
                }
                client.request(WireClient.READ, 7, 0, data.length, null);
                int left = writes;
                boolean read = false;
                while (left > 0 || !read) {
                    WireClient.Answer answer = client.answer();
                    assertEquals(0, answer.error());
                    if (answer.cookie() == 7) {
                        assertArrayEquals(data, client.receive(data.length).array());
                        read = true;
                    } else {
                        left--;
                    }
                }
            }
        }
    }

    @Test
    void whatCantBeReadOfATruncatedOriginIsNoHole() throws Exception {
        long size = 8 << 20;
        Path data = engine.file("data", size);
        engine.create("vol", size / 512 + " era " + engine.file("meta", 8 << 20) + " " + data + " 8");
        try (java.io.RandomAccessFile file = new java.io.RandomAccessFile(data.toFile(), "rw")) {
            file.seek(1 << 20);
            file.write(new byte[65536]);
            file.setLength(4 << 20);
        }
        try (ChunkClient client =
                ChunkClient.open(folder.resolve("nbd"), "vol", ChunkClient.EXTENDED_HEADERS, "base:allocation")) {
            client.request(0, ChunkClient.BLOCK_STATUS, 1, 0, size, null);
            java.nio.ByteBuffer runs = client.chunk().body();
            assertEquals(4, runs.getInt(4));
            long[] expected = {1 << 20, 3, 65536, 0, (3 << 20) - 65536, 3, 4 << 20, 0};
            for (int i = 0; i < expected.length; i++) {
                assertEquals(expected[i], runs.getLong(8 + 8 * i), "number " + i);
            }
            client.request(0, ChunkClient.BLOCK_STATUS, 2, size - 4096, 4096, null);
            assertEquals(0, client.chunk().body().getLong(16));
            client.request(0, WireClient.READ, 3, size - 4096, 4096, null);
            assertEquals(EIO, lastError(client, 3));
        }
    }

    @Test
    void aContextThatWasAgreedOnAnswersForTheMetadataOfThenAndForNoOthers() throws Exception {
        long size = 8 << 20;
        MappedDevice device = engine.createEra("vol", 8);
        TestEngine.checkpoint(device);
        long era = device.io().currentEra();
        String[] contexts = {"qemu:dirty-bitmap:era-since-" + era, "era:writes"};
        try (ChunkClient old = ChunkClient.open(folder.resolve("nbd"), "vol", ChunkClient.EXTENDED_HEADERS, contexts)) {
            assertEquals(0, statusError(old, size));
            String first = size / 512 + " era " + folder.resolve("vol.meta") + " " + folder.resolve("vol.data") + " 8";
            // The same metadata once more, suspended before and not: the same record goes on.
            device.suspend();
            reload(device, first);
            assertEquals(0, statusError(old, size));
            reload(device, first);
            assertEquals(0, statusError(old, size));
            // Fresh ones, also when they have come as far.
            reload(
                    device,
                    size / 512 + " era " + engine.file("meta2", 8 << 20) + " " + folder.resolve("vol.data") + " 8");
            try (WireClient writer = open("vol")) {
                assertEquals(0, writer.write(0, new byte[BLOCK]));
            }
            assertEquals(EINVAL, statusError(old, size));
            while (device.io().currentEra() <= era) {
                TestEngine.checkpoint(device);
            }
            assertEquals(EINVAL, statusError(old, size));
            try (ChunkClient young =
                    ChunkClient.open(folder.resolve("nbd"), "vol", ChunkClient.EXTENDED_HEADERS, contexts)) {
                assertEquals(0, statusError(young, size));
            }
            // Several records, and none.
            reload(
                    device,
                    "8192 era " + engine.file("meta3", 8 << 20) + " " + folder.resolve("vol.data") + " 8",
                    "8192 era " + engine.file("meta4", 8 << 20) + " " + engine.file("data2", size) + " 8");
            assertEquals(EINVAL, statusError(old, size));
            reload(device, size / 512 + " linear " + folder.resolve("vol.data") + " 0");
            assertEquals(EINVAL, statusError(old, size));
            // The first, but another state of it than the one that was left.
            reload(device, first);
            TestEngine.checkpoint(device);
            byte[] state = java.nio.file.Files.readAllBytes(folder.resolve("vol.meta"));
            TestEngine.checkpoint(device);
            reload(device, size / 512 + " linear " + folder.resolve("vol.data") + " 0");
            try (ChunkClient none =
                    ChunkClient.open(folder.resolve("nbd"), "vol", ChunkClient.EXTENDED_HEADERS, "base:allocation")) {
                assertEquals(0, statusError(none, size));
            }
            java.nio.file.Files.write(folder.resolve("vol.meta"), state);
            reload(device, first);
            assertEquals(EINVAL, statusError(old, size));
        }
    }

    private static void reload(MappedDevice device, String... lines) throws IOException {
        device.load(TestEngine.specs(lines), false);
        device.resume();
    }

    /** The error of a request for block status; each of the contexts answers, or one error ends it. */
    private static int statusError(ChunkClient client, long size) throws IOException {
        client.request(0, ChunkClient.BLOCK_STATUS, 9, 0, size, null);
        return lastError(client, 9);
    }
}
