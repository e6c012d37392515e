// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.Served;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Clients that connect and say nothing take no places from others for long. */
@Timeout(600)
class NbdListenersTest {
    /** Connections that one listener takes. */
    private static final int LIMIT = 512;

    @TempDir
    private Path folder;

    private final List<String> log = new CopyOnWriteArrayList<>();

    private interface Use {
        void with(Path socket, SocketAddress tcp) throws Exception;
    }

    private void serve(Duration handshake, Use use) throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            ExportSource exports = engine.exporting("vol", 16);
            Path socket = folder.resolve("own");
            ServerSocketChannel unix = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            unix.bind(UnixDomainSocketAddress.of(socket));
            try (NbdServer server = new NbdServer(new Served(), exports, log::add, handshake)) {
                server.listenUnix(unix, socket);
                SocketAddress tcp = server.listenTcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), null);
                use.with(socket, tcp);
            }
        }
    }

    @Test
    void thousandsOfClientsThatBreakTheProtocolDontFillTheLog() throws Exception {
        long began = System.nanoTime();
        serve(Duration.ofSeconds(30), (socket, tcp) -> {
            for (int i = 0; i < 2000; i++) {
                try (WireClient bad = WireClient.open(socket, "vol")) {
                    bad.send(ByteBuffer.allocate(28).putInt(0xbad).position(28));
                    assertThrows(IOException.class, () -> bad.receive(1));
                }
            }
        });
        assertTrue(log.get(0).contains("magic number bad"), log.toString());
        // Ten in ten seconds, and one of those that were left out; and none is lost from the count.
        long times = (System.nanoTime() - began) / 10_000_000_000L + 1;
        assertTrue(log.size() <= 11 * times, log.size() + " lines");
        long told = 0;
        for (String line : log) {
            told += line.endsWith("left out")
                    ? Integer.parseInt(line.replaceFirst(".*protocol: ([0-9]+) more.*", "$1"))
                    : 1;
        }
        assertEquals(2000, told, log.toString());
    }

    @Test
    void aLineNamesTheClientAndItsExportAndNobodyForgesOne() throws Exception {
        String forged = "vol'\n<3>era-dmsetup: all is lost\u001b[2J\u0085\u202e";
        serve(Duration.ofSeconds(30), (socket, tcp) -> {
            for (String name : List.of("vol", forged)) {
                try (WireClient bad = WireClient.open(socket, name)) {
                    bad.send(ByteBuffer.allocate(28).putInt(0xbad).position(28));
                    assertThrows(IOException.class, () -> bad.receive(1));
                }
            }
            try (SocketChannel bad = SocketChannel.open(tcp)) {
                bad.write(ByteBuffer.wrap(new byte[] {7, 7, 7, 7}));
                while (bad.read(ByteBuffer.allocate(64)) >= 0) {
                    // The greeting.
                }
                SocketAddress from = bad.getLocalAddress();
                assertTrue(
                        log.contains("nbd: " + from.toString().substring(1) + ": sent unknown flags 7070707"),
                        log.toString());
            }
        });
        String self = "nbd: uid " + Files.getAttribute(Path.of("/proc/self"), "unix:uid") + " pid "
                + ProcessHandle.current().pid();
        String what = "': sent a request with magic number bad";
        assertEquals(self + ", export 'vol" + what, log.get(0));
        assertEquals(
                self + ", export 'vol'\\x0a<3>era-dmsetup: all is lost\\x1b[2J\\xc2\\x85\\xe2\\x80\\xae" + what,
                log.get(1));
        assertEquals(3, log.size(), log.toString());
    }

    @Test
    void aClientThatChoosesNoExportInTimeIsDroppedAndOthersStay() throws Exception {
        serve(Duration.ofSeconds(6), (socket, tcp) -> {
            try (WireClient good = WireClient.open(socket, "vol");
                    WireClient silent = new WireClient(socket)) {
                silent.receive(18);
                assertThrows(IOException.class, () -> silent.receive(1));
                assertTrue(log.stream().anyMatch(line -> line.contains("no export")), log.toString());
                assertNotNull(good.read(0, 512));
            }
        });
    }

    private static boolean isGreeted(SocketChannel client) {
        try {
            return client.read(ByteBuffer.allocate(18)) > 0;
        } catch (IOException e) {
            // Reset: refused all the same.
            return false;
        }
    }

    @Test
    void aCrowdAtOneListenerLocksNobodyOutOfAnother() throws Exception {
        serve(Duration.ofMinutes(2), (socket, tcp) -> {
            List<SocketChannel> crowd = new ArrayList<>();
            try {
                int greeted = 0;
                for (int i = 0; i < LIMIT + 3; i++) {
                    SocketChannel silent = SocketChannel.open(tcp);
                    crowd.add(silent);
                    greeted += isGreeted(silent) ? 1 : 0;
                }
                assertEquals(LIMIT, greeted);
                assertEquals(
                        3, log.stream().filter(line -> line.contains("refused")).count(), log.toString());
                try (WireClient good = WireClient.open(socket, "vol")) {
                    assertNotNull(good.read(0, 512));
                }
            } finally {
                for (SocketChannel silent : crowd) {
                    silent.close();
                }
            }
        });
    }
}
