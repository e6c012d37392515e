// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is left out of a first copy is known to be zero. */
@Timeout(300)
class NbdHolesTest {
    private static final int MIB = 1 << 20;

    @TempDir
    Path folder;

    /** A server that reports a hole at the beginning, and then fails to report anything. */
    private static void serve(ServerSocketChannel listener) throws IOException {
        try (SocketChannel client = listener.accept()) {
            ByteBuffer hello = ByteBuffer.allocate(18);
            send(
                    client,
                    hello.putLong(0x4e42444d41474943L)
                            .putLong(0x49484156454f5054L)
                            .putShort((short) 3));
            receive(client, 4);
            for (int options = 0; options < 3; options++) {
                ByteBuffer option = receive(client, 16);
                int number = option.getInt(8);
                receive(client, option.getInt(12));
                if (number == 10) {
                    send(client, reply(number, 4, 4).putInt(0));
                }
                send(client, reply(number, 1, 0));
            }
            long cookie = receive(client, 28).getLong(8);
            send(client, chunk(5, cookie, 12).putInt(0).putInt(MIB).putInt(3));
            cookie = receive(client, 28).getLong(8);
            send(client, chunk(32769, cookie, 6).putInt(5).putShort((short) 0));
            // Its leave.
            receive(client, 28);
        }
    }

    private static ByteBuffer reply(int option, int type, int length) {
        return ByteBuffer.allocate(20 + length)
                .putLong(0x3e889045565a9L)
                .putInt(option)
                .putInt(type)
                .putInt(length);
    }

    private static ByteBuffer chunk(int type, long cookie, int length) {
        return ByteBuffer.allocate(20 + length)
                .putInt(0x668e33ef)
                .putShort((short) 1)
                .putShort((short) type)
                .putLong(cookie)
                .putInt(length);
    }

    private static void send(SocketChannel client, ByteBuffer filled) throws IOException {
        filled.flip();
        while (filled.hasRemaining()) {
            client.write(filled);
        }
    }

    private static ByteBuffer receive(SocketChannel client, int bytes) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(bytes);
        while (data.hasRemaining()) {
            if (client.read(data) < 0) {
                throw new EOFException();
            }
        }
        return data.flip();
    }

    @Test
    void aHoleEndsWhereTheServerFailsToReportThatItGoesOn() throws Exception {
        Path socket = folder.resolve("nbd");
        try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            listener.bind(UnixDomainSocketAddress.of(socket));
            CompletableFuture<Void> served = CompletableFuture.runAsync(() -> {
                try {
                    serve(listener);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            try (NbdHoles holes = new NbdHoles(socket, "vol", 4L * MIB)) {
                assertEquals(MIB, holes.holeUntil(0));
                assertEquals(MIB, holes.holeUntil(MIB), "nobody knows that this is zero");
                assertEquals(4L * MIB, holes.dataUntil(MIB));
            }
            served.get(30, TimeUnit.SECONDS);
        }
    }
}
