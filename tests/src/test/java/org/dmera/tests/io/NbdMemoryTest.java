// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.Served;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whatever clients announce, and however slowly they send it: there is an end to the memory that they get. */
@Timeout(600)
@Alone
class NbdMemoryTest {
    private static final int MIB = 1 << 20;
    private static final int NO_COMMAND = 99;

    @TempDir
    private Path folder;

    private final List<String> log = new CopyOnWriteArrayList<>();

    private interface Use {
        void with(NbdServer server, Path socket) throws Exception;
    }

    /** Serves a device of 256 MiB with so much memory. */
    private void serve(long directBytes, Use use) throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            Path socket = folder.resolve("own");
            ServerSocketChannel unix = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            unix.bind(UnixDomainSocketAddress.of(socket));
            try (NbdServer server = new NbdServer(
                    new Served(directBytes), engine.exporting("vol", 256), log::add, Duration.ofSeconds(10))) {
                server.listenUnix(unix, socket);
                use.with(server, socket);
            }
        }
    }

    private static byte[] noise(long seed, int bytes) {
        byte[] noise = new byte[bytes];
        new Random(seed).nextBytes(noise);
        return noise;
    }

    private static void await(BooleanSupplier condition, String otherwise) {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(240);
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < deadline, otherwise);
            Thread.onSpinWait();
        }
    }

    /** Writes of many sizes to blocks that are not marked, all sent before the first is answered; then reads them. */
    private static void writeAndRead(WireClient client, long from, int... sizes) throws IOException {
        Thread sender = new Thread(() -> {
            long at = from;
            for (int size : sizes) {
                try {
                    client.request(WireClient.WRITE, at, at, size, noise(at, size));
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
                at += size;
            }
        });
        sender.start();
        for (int i = 0; i < sizes.length; i++) {
            assertEquals(0, client.answer().error());
        }
        long at = from;
        for (int size : sizes) {
            assertArrayEquals(noise(at, size), client.read(at, size));
            at += size;
        }
    }

    @Test
    void clientsThatStallInTheirPayloadsLockNobodyOut() throws Exception {
        serve(64L * MIB, (server, socket) -> {
            List<WireClient> stalled = new ArrayList<>();
            try {
                for (int i = 0; i < 24; i++) {
                    WireClient client = WireClient.open(socket, "vol");
                    stalled.add(client);
                    // 32 MiB, 4 MiB, 64 KiB: each would be held in another way.
                    int length = i % 3 == 0 ? 32 * MIB : i % 3 == 1 ? 4 * MIB : 64 << 10;
                    // The longest are marked at once, and the others must wait.
                    client.request(WireClient.WRITE, 1, i % 3 == 0 ? 200L * MIB : 0, length, new byte[1]);
                }
                await(() -> server.payloadBytes() > 4 * MIB, "no payload is waited for");
                try (WireClient good = WireClient.open(socket, "vol")) {
                    int[] small = new int[500];
                    java.util.Arrays.fill(small, 4096);
                    writeAndRead(good, 64L * MIB, small);
                    writeAndRead(good, 80L * MIB, MIB, MIB, 3, 2 * MIB, 100_000, 4 * MIB, 5 * MIB, 70_000, MIB);
                    assertTrue(server.payloadBytes() <= 16 * MIB, () -> server.payloadBytes() + " bytes are held");
                }
            } finally {
                for (WireClient client : stalled) {
                    client.close();
                }
            }
            await(() -> server.openConnections() == 0, "connections stay open");
            assertEquals(0, server.payloadBytes());
            assertTrue(log.stream().noneMatch(line -> line.contains("OutOfMemory")), log::toString);
        });
    }

    @Test
    void anEngineWithLittleMemoryOutlivesThoseWhoAnnounceMore() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            engine.createEra("vol", 256);
        }
        CrashedEngine small = new CrashedEngine(folder, "-XX:MaxDirectMemorySize=40m", "-Xmx64m");
        List<WireClient> stalled = new ArrayList<>();
        try {
            Path socket = folder.resolve("nbd");
            for (int i = 0; i < 15; i++) {
                WireClient client = WireClient.open(socket, "vol");
                stalled.add(client);
                client.request(WireClient.WRITE, 1, i % 2 * 4L * MIB, 32 * MIB, new byte[1]);
                try (WireClient good = WireClient.open(socket, "vol")) {
                    writeAndRead(good, (64L + 8 * i) * MIB, 4096, MIB, 4096, 4 * MIB);
                }
            }
        } finally {
            for (WireClient client : stalled) {
                client.close();
            }
            small.kill();
        }
    }

    @Test
    void writesAreServedWhereThereIsNoMemoryForPayloadsAtAll() throws Exception {
        serve(4096, (server, socket) -> {
            try (WireClient client = WireClient.open(socket, "vol")) {
                writeAndRead(client, 1, 512, 4096, 65536, 65537, MIB, 9 * MIB, 1, 300_000, 32 * MIB);
                assertEquals(0, server.payloadBytes());
            }
        });
    }

    @Test
    void aClientThatTakesNoAnswersHoldsNoPayloads() throws Exception {
        serve(64L * MIB, (server, socket) -> {
            try (WireClient deaf = WireClient.open(socket, "vol")) {
                for (int i = 0; i < 16; i++) {
                    deaf.request(WireClient.WRITE, i, (long) i * MIB, MIB, new byte[MIB]);
                }
                for (int i = 0; i < 8; i++) {
                    deaf.request(WireClient.READ, i, 0, 4 * MIB, null);
                }
                try (WireClient good = WireClient.open(socket, "vol")) {
                    await(() -> good.channel.isOpen() && server.payloadBytes() == 0, "payloads are held");
                    writeAndRead(good, 128L * MIB, MIB, 4096, 4 * MIB);
                }
            }
        });
    }

    @Test
    void clientsThatLeaveBeforeTheyAreAnsweredAndBeforeTheirPayloadsTakeNoMemoryAlong() throws Exception {
        serve(64L * MIB, (server, socket) -> {
            for (int i = 0; i < 64; i++) {
                try (WireClient leaving = WireClient.open(socket, "vol")) {
                    // The answer to the first can't be sent any more when room for the second's payload has been taken.
                    ByteBuffer both = ByteBuffer.allocate(56);
                    both.putInt(0x25609513).putShort((short) 0).putShort((short) NO_COMMAND);
                    both.putLong(1).putLong(0).putInt(0);
                    both.putInt(0x25609513).putShort((short) 0).putShort((short) WireClient.WRITE);
                    both.putLong(2).putLong(0).putInt(4 * MIB);
                    leaving.send(both);
                }
            }
            await(() -> server.openConnections() == 0, "connections stay open");
            try (WireClient stalled = WireClient.open(socket, "vol")) {
                stalled.request(WireClient.WRITE, 1, 0, 4 * MIB, new byte[1]);
                await(() -> server.payloadBytes() == 4 * MIB, "there is no memory for a payload that is still to come");
            }
        });
    }

    @Test
    void moreConnectionsThanThereIsMemoryForAreRefusedUntilOthersLeave() throws Exception {
        serve(8L * MIB, (server, socket) -> {
            List<WireClient> crowd = new ArrayList<>();
            try {
                for (int i = 0; i < 4; i++) {
                    WireClient client = WireClient.open(socket, "vol");
                    crowd.add(client);
                    assertEquals(0, client.write(0, new byte[512]));
                }
                assertThrows(IOException.class, () -> {
                    try (WireClient over = WireClient.open(socket, "vol")) {
                        over.write(0, new byte[512]);
                    }
                });
                assertTrue(log.stream().anyMatch(line -> line.contains("no memory")), log::toString);
                crowd.remove(0).close();
                await(() -> server.openConnections() == 3, "connections stay open");
                try (WireClient next = WireClient.open(socket, "vol")) {
                    assertEquals(0, next.write(0, new byte[512]));
                }
            } finally {
                for (WireClient client : crowd) {
                    client.close();
                }
            }
        });
    }
}
