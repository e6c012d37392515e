// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.export.NbdServer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a client sent by a connection that is dead never undoes what was acknowledged since. */
@Timeout(300)
class DeadConnectionTest {
    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final byte[] OLD = filled('A');
    private static final byte[] NEW = filled('B');
    private static final int ROUNDS = 25;

    @TempDir
    private Path folder;

    private TestEngine engine;
    private MappedDevice device;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
        device = engine.createEra("vol", 16);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private static byte[] filled(char c) {
        byte[] data = new byte[BLOCK];
        Arrays.fill(data, (byte) c);
        return data;
    }

    private WireClient open(String name) throws IOException {
        return WireClient.open(folder.resolve("nbd"), name);
    }

    /** Waits until the engine's thread of that connection can have gone no further. */
    private static void moment() throws InterruptedException {
        TimeUnit.MILLISECONDS.sleep(10);
    }

    private void suspendBetween(boolean standby) throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            TestEngine.checkpoint(device);
            device.suspend();
            WireClient early = standby ? open("vol") : null;
            WireClient old = open("vol");
            for (int i = 0; i <= round % 3; i++) {
                old.request(WireClient.WRITE, i, 0, BLOCK, OLD);
            }
            moment();
            old.close();
            WireClient young = standby ? early : open("vol");
            young.request(WireClient.WRITE, 7, 0, BLOCK, NEW);
            moment();
            device.resume();
            assertEquals(new WireClient.Answer(0, 7), young.answer());
            young.request(WireClient.FLUSH, 8, 0, 0, null);
            assertEquals(new WireClient.Answer(0, 8), young.answer());
            awaitConnections(1);
            assertArrayEquals(NEW, young.read(0, BLOCK), "round " + round);
            young.close();
            awaitConnections(0);
        }
    }

    private void awaitConnections(int open) throws InterruptedException {
        while (device.openCount() > open) {
            TimeUnit.MILLISECONDS.sleep(1);
        }
    }

    @Test
    void aWriteThatASuspendHeldBackIsNotDoneOnceItsClientIsGone() throws Exception {
        suspendBetween(false);
    }

    @Test
    void itIsNotDoneEitherWhenTheClientGoesOnByAConnectionThatItHadAlready() throws Exception {
        suspendBetween(true);
    }

    @Test
    void itIsNotDoneWhenADeviceBeneathWasSuspended() throws Exception {
        MappedDevice base = engine.create("base", "32768 linear " + engine.file("base.data", 16 << 20) + " 0");
        MappedDevice top =
                engine.create("tracked", "32768 era " + engine.file("tracked.meta", 8 << 20) + " engine:base 8");
        for (int round = 0; round < ROUNDS; round++) {
            try (WireClient first = open("tracked")) {
                assertEquals(0, first.write(0, OLD));
            }
            base.suspend();
            WireClient old = open("tracked");
            old.request(WireClient.WRITE, 1, 0, BLOCK, OLD);
            moment();
            old.close();
            WireClient young = open("tracked");
            young.request(WireClient.WRITE, 7, 0, BLOCK, NEW);
            moment();
            base.resume();
            assertEquals(new WireClient.Answer(0, 7), young.answer());
            while (top.openCount() > 1) {
                TimeUnit.MILLISECONDS.sleep(1);
            }
            assertArrayEquals(NEW, young.read(0, BLOCK), "round " + round);
            young.close();
        }
    }

    @Test
    void theBacklogOfAKilledClientIsDroppedBeforeTheNextOneIsServed() throws Exception {
        for (int round = 0; round < ROUNDS; round++) {
            // All blocks are unmarked again: each write waits for its own mark.
            TestEngine.checkpoint(device);
            WireClient old = open("vol");
            ByteBuffer backlog = ByteBuffer.allocate(64 << 10);
            for (int i = 1; i < 100; i++) {
                put(backlog, i, (long) i * 65536, 512);
            }
            put(backlog, 100, 0, BLOCK);
            backlog.flip();
            old.channel.configureBlocking(false);
            old.channel.write(backlog);
            old.close();
            try (WireClient young = open("vol")) {
                assertEquals(0, young.write(0, NEW));
                awaitConnections(1);
                assertArrayEquals(NEW, young.read(0, BLOCK), "round " + round);
            }
        }
    }

    private static void put(ByteBuffer to, long cookie, long offset, int length) {
        to.putInt(0x25609513).putShort((short) 0).putShort((short) WireClient.WRITE);
        to.putLong(cookie).putLong(offset).putInt(length).put(OLD, 0, length);
    }

    @Test
    void aClientThatIsGoneLetsGoOfADeviceThatIsSuspended() throws Exception {
        device.suspend();
        WireClient old = open("vol");
        old.request(WireClient.WRITE, 1, 0, BLOCK, OLD);
        moment();
        assertEquals(1, device.openCount());
        old.close();
        awaitConnections(0);
        engine.engine.registry().remove(device, false);
    }

    @Test
    void aClientThatOnlyEndsWhatItSendsIsServedToTheEnd() throws Exception {
        TestEngine.checkpoint(device);
        try (WireClient client = open("vol")) {
            for (int i = 0; i < 8; i++) {
                client.request(WireClient.WRITE, i, (long) i * BLOCK, BLOCK, NEW);
            }
            client.channel.shutdownOutput();
            boolean[] answered = new boolean[8];
            for (int i = 0; i < 8; i++) {
                WireClient.Answer answer = client.answer();
                assertEquals(0, answer.error());
                answered[(int) answer.cookie()] = true;
            }
            for (boolean each : answered) {
                assertTrue(each);
            }
        }
    }

    @Test
    void aTcpClientThatWasCutOffIsNotServedAfterTheNextOne() throws Exception {
        try (NbdServer server = new NbdServer(exports(device.io()), line -> {})) {
            InetSocketAddress address = (InetSocketAddress)
                    server.listenTcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), null);
            for (int round = 0; round < ROUNDS; round++) {
                TestEngine.checkpoint(device);
                device.suspend();
                WireClient old = WireClient.open(SocketChannel.open(address), "vol");
                old.request(WireClient.WRITE, 1, 0, BLOCK, OLD);
                moment();
                if (round % 2 == 0) {
                    // As a host that is gone and comes back does: by a reset.
                    old.channel.setOption(StandardSocketOptions.SO_LINGER, 0);
                }
                old.close();
                WireClient young = WireClient.open(SocketChannel.open(address), "vol");
                young.request(WireClient.WRITE, 7, 0, BLOCK, NEW);
                moment();
                device.resume();
                assertEquals(new WireClient.Answer(0, 7), young.answer());
                while (server.openConnections() > 1) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
                assertArrayEquals(NEW, young.read(0, BLOCK), "round " + round);
                young.close();
                while (server.openConnections() > 0) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
            }
        }
    }

    @Test
    void aTcpClientThatOnlyEndsWhatItSendsAndTakesNoAnswersHoldsUpNobody() throws Exception {
        try (NbdServer server = new NbdServer(exports(device.io()), line -> {})) {
            InetSocketAddress address = (InetSocketAddress)
                    server.listenTcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), null);
            try (WireClient deaf = WireClient.open(SocketChannel.open(address), "vol")) {
                // More than the socket holds.
                for (int i = 0; i < 64; i++) {
                    deaf.request(WireClient.READ, i, 0, 1 << 20, null);
                }
                deaf.channel.shutdownOutput();
                deaf.receive(16);
                try (WireClient other = WireClient.open(SocketChannel.open(address), "vol")) {
                    assertTimeoutPreemptively(Duration.ofSeconds(30), () -> assertEquals(0, other.write(0, NEW)));
                }
            }
        }
    }

    private static ExportSource exports(DeviceIo io) {
        return new ExportSource() {
            @Override
            public List<String> names() {
                return List.of("vol");
            }

            @Override
            public OpenDevice open(String name) {
                return new OpenDevice() {
                    @Override
                    public DeviceIo io() {
                        return io;
                    }

                    @Override
                    public void close() {}
                };
            }
        };
    }
}
