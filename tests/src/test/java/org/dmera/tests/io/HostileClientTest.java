// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Clients that break the protocol: the engine lives on, serves others, and keeps nothing of them. */
@Timeout(600)
@Alone
class HostileClientTest {
    private static final int EINVAL = 22;
    private static final int ENOSPC = 28;
    private static final int ESHUTDOWN = 108;

    @TempDir
    private Path folder;

    private TestEngine engine;
    private MappedDevice device;
    private Path socket;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        device = engine.createEra("vol", 16);
        socket = folder.resolve("nbd");
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private WireClient open() throws IOException {
        return WireClient.open(socket, "vol");
    }

    private void assertServes() throws IOException {
        try (WireClient good = open()) {
            byte[] data = new byte[4096];
            new Random(3).nextBytes(data);
            assertEquals(0, good.write(8192, data));
            assertArrayEquals(data, good.read(8192, 4096));
        }
    }

    private static void assertClosed(WireClient client) {
        assertThrows(IOException.class, () -> client.receive(1));
    }

    @Test
    void aRequestWithoutItsMagicNumberEndsItsConnectionAlone() throws Exception {
        try (WireClient bad = open();
                WireClient good = open()) {
            bad.send(ByteBuffer.allocate(28).putInt(0xdeadbeef).position(28));
            assertClosed(bad);
            assertEquals(0, good.write(0, new byte[512]));
        }
        assertServes();
    }

    @Test
    void aHugePayloadIsNotWaitedFor() throws Exception {
        try (WireClient bad = open()) {
            bad.request(WireClient.WRITE, 1, 0, -1, null);
            assertClosed(bad);
        }
        try (WireClient bad = open()) {
            bad.request(WireClient.READ, 1, 0, -1, null);
            assertEquals(EINVAL, bad.answer().error());
        }
        assertServes();
    }

    @Test
    void requestsPastTheEndAreRefusedAndTheConnectionGoesOn() throws Exception {
        long size = device.io().sizeBytes();
        try (WireClient client = open()) {
            assertEquals(ENOSPC, client.write(size - 512, new byte[1024]));
            assertEquals(ENOSPC, client.write(size, new byte[2 << 20]));
            assertEquals(ENOSPC, client.write(Long.MAX_VALUE - 511, new byte[512]));
            assertEquals(ENOSPC, client.write(-512, new byte[512]));
            client.request(WireClient.READ, 5, size - 512, 1024, null);
            assertEquals(new WireClient.Answer(EINVAL, 5), client.answer());
            client.request(99, 6, 0, 0, null);
            assertEquals(new WireClient.Answer(EINVAL, 6), client.answer());
            assertEquals(0, client.write(size - 512, new byte[512]));
        }
        for (long era : TestEngine.eras(device)) {
            assertTrue(era <= 1);
        }
    }

    @Test
    void aClientThatLeavesInTheMiddleOfAPayloadHarmsNobody() throws Exception {
        byte[] before = new byte[4096];
        new Random(4).nextBytes(before);
        try (WireClient good = open()) {
            assertEquals(0, good.write(0, before));
        }
        // Of an unmarked block, of a marked one, of more than the server's buffer holds.
        for (int length : new int[] {4096, 1 << 20}) {
            for (long offset : new long[] {4 << 20, 0}) {
                try (WireClient bad = open()) {
                    bad.request(WireClient.WRITE, 1, offset, length, new byte[100]);
                }
            }
        }
        awaitNoConnections();
        try (WireClient good = open()) {
            assertArrayEquals(before, good.read(0, 4096), "an unfinished request changes less than a page: nothing");
        }
    }

    @Test
    void aClientThatStallsInAPayloadDoesNotHoldUpASuspend() throws Exception {
        try (WireClient stalled = open()) {
            assertEquals(0, stalled.write(0, new byte[1 << 20]));
            stalled.request(WireClient.WRITE, 1, 0, 1 << 20, new byte[600_000]);
            device.suspend();
            device.resume();
            assertServes();
        }
    }

    @Test
    void aWriteWhosePayloadComesBeforeAndAfterACheckpointCountsInTheNewEraWhole() throws Exception {
        int length = 1 << 20;
        try (WireClient slow = open()) {
            assertEquals(0, slow.write(0, new byte[length]));
            byte[] data = new byte[length];
            new Random(7).nextBytes(data);
            slow.request(WireClient.WRITE, 1, 0, length, java.util.Arrays.copyOf(data, 600_000));
            // What has come is on the origin, but for less than the server collects before it passes something on.
            byte[] arrived = new byte[4096];
            ByteBuffer end = ByteBuffer.wrap(arrived);
            await(
                    () -> {
                        try {
                            device.io().read(480 << 10, end.clear());
                        } catch (IOException e) {
                            throw new java.io.UncheckedIOException(e);
                        }
                        return java.util.Arrays.equals(arrived, 0, 4096, data, 480 << 10, (480 << 10) + 4096);
                    },
                    () -> "the first part did not arrive");
            TestEngine.checkpoint(device);
            slow.send(ByteBuffer.allocate(length).put(data, 600_000, length - 600_000));
            assertEquals(0, slow.answer().error());
        }
        long[] eras = TestEngine.eras(device);
        for (int block = 0; block < length / TestEngine.BLOCK_BYTES; block++) {
            assertEquals(2, eras[block], "block " + block + " of a write that was acknowledged in era 2");
        }
        assertEquals(0, eras[length / TestEngine.BLOCK_BYTES]);
    }

    @Test
    void aClientThatTakesNoAnswersHoldsUpNobody() throws Exception {
        try (WireClient deaf = open()) {
            byte[] data = new byte[512];
            // Elsewhere than where others write meanwhile: that a block is marked doesn't say that it is written yet.
            for (int i = 64; i < 128; i++) {
                deaf.request(WireClient.WRITE, i, (long) i * TestEngine.BLOCK_BYTES, data.length, data);
            }
            // More than the socket holds, while the writes before still wait for their marks.
            for (int i = 0; i < 32; i++) {
                deaf.request(WireClient.READ, i, 0, 1 << 20, null);
            }
            for (int i = 128; i < 192; i++) {
                deaf.request(WireClient.WRITE, i, (long) i * TestEngine.BLOCK_BYTES, data.length, data);
            }
            await(() -> TestEngine.era(device).markedBlocks() >= 64, () -> "the writes were not marked");
            assertServes();
            TestEngine.checkpoint(device);
            device.suspend();
            device.resume();
            assertServes();
        }
        awaitNoConnections();
    }

    @Test
    void theEngineStopsThoughAClientTakesNoAnswers() throws Exception {
        try (WireClient deaf = open()) {
            byte[] data = new byte[512];
            for (int i = 0; i < 64; i++) {
                deaf.request(WireClient.WRITE, i, (long) i * TestEngine.BLOCK_BYTES, data.length, data);
            }
            for (int i = 0; i < 32; i++) {
                deaf.request(WireClient.READ, i, 0, 1 << 20, null);
            }
            engine.close();
        }
        engine = new TestEngine(folder);
        device = engine.engine.registry().byName("vol");
        assertServes();
    }

    @Test
    void whatIsUnderWayWhenTheEngineStopsIsAnswered() throws Exception {
        device.suspend();
        try (WireClient client = open()) {
            // The first needs no device: its answer tells that the others have been received, too.
            int trims = 1000;
            ByteBuffer all = ByteBuffer.allocate((1 + trims) * 28);
            for (int i = 0; i <= trims; i++) {
                all.putInt(0x25609513).putShort((short) 0);
                all.putShort((short) (i == 0 ? WireClient.CACHE : WireClient.TRIM));
                all.putLong(i).putLong(0).putInt(i == 0 ? 0 : 512);
            }
            client.send(all);
            assertEquals(new WireClient.Answer(0, 0), client.answer());
            engine.close();
            for (int i = 1; i <= trims; i++) {
                assertEquals(new WireClient.Answer(ESHUTDOWN, i), client.answer());
            }
            assertClosed(client);
        }
        engine = new TestEngine(folder);
        device = engine.engine.registry().byName("vol");
        device.resume();
        assertEquals(0, TestEngine.eras(device)[0], "nothing was done");
    }

    @Test
    void aClientThatLeavesWhileItsWritesAreHeldBackLeavesNothingBehind() throws Exception {
        device.suspend();
        for (int i = 0; i < 20; i++) {
            try (WireClient gone = open()) {
                gone.request(WireClient.WRITE, i, (long) i * TestEngine.BLOCK_BYTES, 512, new byte[512]);
                gone.request(WireClient.READ, i, 0, 4096, null);
            }
        }
        device.resume();
        awaitNoConnections();
        assertServes();
    }

    @Test
    void oddSizesAtTheVeryEndAndRequestsOfNothingAreServed() throws Exception {
        long size = device.io().sizeBytes();
        try (WireClient client = open()) {
            for (int length : new int[] {1, 3, 511, 513, 4095, 4097, 300_001, 1 << 20}) {
                byte[] data = new byte[length];
                new Random(length).nextBytes(data);
                assertEquals(0, client.write(size - length, data), length + " bytes");
                assertArrayEquals(data, client.read(size - length, length), length + " bytes");
                assertEquals(ENOSPC, client.write(size - length + 1, data), length + " bytes");
            }
            TestEngine.checkpoint(device);
            assertEquals(0, client.write(size, new byte[0]));
            assertEquals(0, client.write(0, new byte[0]));
            assertArrayEquals(new byte[0], client.read(size, 0));
            for (int command : new int[] {WireClient.TRIM, WireClient.WRITE_ZEROES, WireClient.CACHE}) {
                client.request(command, 7, size, 0, null);
                assertEquals(new WireClient.Answer(0, 7), client.answer(), "command " + command);
            }
        }
        assertEquals(0, TestEngine.era(device).markedBlocks(), "nothing was written in this era");
    }

    @Test
    void aDeviceThatGrowsAndShrinksKeepsItsConnectedClients() throws Exception {
        long size = device.io().sizeBytes();
        Path bigger = engine.file("bigger", 2 * size);
        byte[] data = new byte[4096];
        new Random(8).nextBytes(data);
        try (WireClient client = open()) {
            assertEquals(ENOSPC, client.write(size, data));
            resize(bigger, 2 * size);
            assertEquals(0, client.write(size, data));
            assertArrayEquals(data, client.read(size, 4096));
            resize(bigger, size);
            assertEquals(ENOSPC, client.write(size, data));
            assertEquals(null, client.read(size, 4096));
            assertEquals(0, client.write(size - 4096, data));
        }
        assertServes();
    }

    @Test
    void aDeviceGrowsWithTheFileThatItRunsOn() throws Exception {
        long size = device.io().sizeBytes();
        Path origin = engine.file("vol.data", 2 * size);
        resize(origin, 2 * size);
        try (WireClient client = open()) {
            assertEquals(0, client.write(2 * size - 4096, new byte[4096]));
        }
        engine.file("vol.data", size);
        assertThrows(IOException.class, () -> resize(origin, 2 * size), "it is shorter by now");
        device.resume();
        assertServes();
    }

    private void resize(Path origin, long bytes) throws IOException {
        Path meta = folder.resolve("vol.meta");
        device.suspend();
        device.load(TestEngine.specs(bytes / 512 + " era " + meta + " " + origin + " 8"), false);
        device.resume();
    }

    @Test
    void garbageInTheHandshakeIsSurvived() throws Exception {
        Random random = new Random(5);
        for (int i = 0; i < 300; i++) {
            try (WireClient bad = new WireClient(socket)) {
                bad.receive(18);
                byte[] noise = new byte[random.nextInt(200)];
                random.nextBytes(noise);
                ByteBuffer talk = ByteBuffer.allocate(600);
                talk.putInt(3);
                if (i % 3 > 0) {
                    // A right beginning, then an option with wrong insides.
                    talk.putLong(0x49484156454F5054L).putInt(random.nextInt(12)).putInt(noise.length);
                }
                bad.send(talk.put(noise));
                bad.channel.shutdownOutput();
                byte[] rest = new byte[4096];
                while (bad.channel.read(ByteBuffer.wrap(rest)) > 0) {}
            } catch (IOException e) {
                // Being cut off is an answer too.
                assertTrue(e.getMessage() != null);
            }
        }
        assertServes();
    }

    @Test
    void noiseInTheTransmissionIsSurvived() throws Exception {
        Random random = new Random(6);
        for (int i = 0; i < 300; i++) {
            try (WireClient bad = open()) {
                for (int r = 0; r < 20; r++) {
                    int length = random.nextInt(9000);
                    int command = random.nextInt(9);
                    byte[] payload = command == WireClient.WRITE ? new byte[length] : null;
                    long offset = random.nextInt(4) == 0 ? random.nextLong() : random.nextInt(17 << 20);
                    bad.request(command, r, offset, length, payload);
                }
            } catch (IOException e) {
                assertTrue(e.getMessage() != null);
            }
        }
        assertServes();
        TestEngine.checkpoint(device);
    }

    @Test
    void tenThousandConnectionsOpenedAndDroppedLeaveNothingBehind() throws Exception {
        assertServes();
        awaitNoConnections();
        long filesBefore = openFiles();
        for (int i = 0; i < 10_000; i++) {
            WireClient client = i % 10 == 0 ? open() : new WireClient(socket);
            client.close();
        }
        // A crowd at once, more than are let in.
        List<WireClient> crowd = new ArrayList<>();
        for (int i = 0; i < 700; i++) {
            crowd.add(new WireClient(socket));
        }
        for (WireClient client : crowd) {
            client.close();
        }
        awaitNoConnections();
        assertServes();
        awaitNoConnections();
        await(() -> openFiles() <= filesBefore + 2, () -> "descriptors: " + openFiles() + ", before: " + filesBefore);
        assertEquals(0, device.openCount());
    }

    private void awaitNoConnections() throws InterruptedException {
        await(() -> nbdThreads() == 0, () -> nbdThreads() + " threads still serve connections");
        await(() -> device.openCount() == 0, () -> "the device is still open");
    }

    private static long nbdThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(t -> t.getName().matches("nbd-[0-9]+"))
                .count();
    }

    private static long openFiles() {
        try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
            return files.count();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private static void await(BooleanSupplier condition, java.util.function.Supplier<String> otherwise)
            throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(240);
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < deadline, otherwise);
            Thread.onSpinWait();
        }
    }
}
