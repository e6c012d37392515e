// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.export.Nbd;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NbdSourceTest {
    @TempDir
    Path folder;

    @Test
    void whereNoEngineAnswersTheSocketIsNamed() {
        Path socket = folder.resolve("nbd");
        IOException none = assertThrows(
                IOException.class, () -> new NbdSource("nbd+unix:///vol?socket=" + socket, folder, () -> ""));
        assertEquals("no engine answers at " + socket + ": No such file or directory", none.getMessage());
    }

    @Test
    void aSourceThatCanNotBeOpenedLeavesNoConnectionThatWouldKeepItsView() throws Exception {
        Path socket = folder.resolve("nbd");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            Future<SocketChannel> first = CompletableFuture.supplyAsync(() -> serveOnlyTheFirst(server));
            assertThrows(IOException.class, () -> new NbdSource("nbd+unix:///vol?socket=" + socket, folder, () -> ""));
            try (SocketChannel client = first.get(10, TimeUnit.SECONDS)) {
                client.configureBlocking(false);
                assertEquals(-1, client.read(ByteBuffer.allocate(100)), "the client has not closed its connection");
            }
        }
    }

    /** Agrees on an export with the first who connects, and turns the second away. */
    private static SocketChannel serveOnlyTheFirst(ServerSocketChannel server) {
        try {
            SocketChannel first = server.accept();
            first.write(ByteBuffer.allocate(18)
                    .putLong(Nbd.MAGIC)
                    .putLong(Nbd.OPTION_MAGIC)
                    .putShort((short) Nbd.FIXED_NEWSTYLE)
                    .flip());
            ByteBuffer flagsAndOption = ByteBuffer.allocate(4 + 16 + "vol".length());
            while (flagsAndOption.hasRemaining()) {
                first.read(flagsAndOption);
            }
            first.write(ByteBuffer.allocate(10).putLong(1 << 20).rewind());
            server.accept().close();
            return first;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
