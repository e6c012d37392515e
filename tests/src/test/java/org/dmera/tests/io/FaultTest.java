// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
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
        Path meta = engine.file("meta", (DATA_SECTORS / 8 / 510 + 18L) * BLOCK);
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
    void metadataThatAreFullOfAHeldSnapshotGoOnFromTheirDumpAndKeepEveryMark() throws Exception {
        Path data = engine.file("data", (long) DATA_SECTORS * 512);
        Path meta = engine.file("meta", (DATA_SECTORS / 8 / 510 + 18L) * BLOCK);
        MappedDevice device = engine.create("vol", DATA_SECTORS + " era " + meta + " " + data + " 8");
        long[] acknowledged = new long[DATA_SECTORS / 8];
        device.message(0, List.of("take_metadata_snap"));
        writeUntilItIsFull(device, acknowledged);
        awaitClosed(device);
        assertEquals("Error", status(device));
        IOException stillFull = assertThrows(IOException.class, () -> {
            device.suspend();
            device.resume();
            device.message(0, List.of("drop_metadata_snap"));
        });
        assertFalse(stillFull.getMessage().isBlank());
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
}
