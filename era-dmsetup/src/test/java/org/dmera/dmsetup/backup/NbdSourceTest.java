// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.export.Nbd;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.targets.StoringNothing;
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

    /** Reads of it are answered once there are two. */
    private static final class ReadByTwo extends StoringNothing {
        private final CyclicBarrier both = new CyclicBarrier(2);

        @Override
        public String type() {
            return "two";
        }

        @Override
        public void read(long offsetBytes, ByteBuffer dst) throws IOException {
            try {
                both.await(30, TimeUnit.SECONDS);
            } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
                throw new IOException(e);
            }
            dst.position(dst.limit());
        }

        @Override
        public long allocation(long offsetBytes, long lengthBytes) {
            return lengthBytes;
        }

        @Override
        protected void change() {}
    }

    /** The one export, called vol. */
    private static ExportSource exports() {
        DeviceIo io = new DeviceIo(task -> {});
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, 8, new ReadByTwo()))));
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

    @Test
    void aServerWhoseSocketCanNotBeDeletedEndsItsConnectionsAllTheSame() throws Exception {
        Path socket = folder.resolve("nbd");
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(socket));
        NbdServer server = new NbdServer(exports(), line -> {});
        server.listenUnix(listener, socket);
        try (SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            assertTrue(client.read(ByteBuffer.allocate(18)) > 0, "it is greeted");
            Files.delete(socket);
            Files.createDirectories(socket.resolve("in its place"));
            assertThrows(DirectoryNotEmptyException.class, server::close);
            assertEquals(0, server.openConnections());
        }
    }

    @Test
    void whoIsInterruptedLeavesNoConnectionOpen() throws Exception {
        Path socket = folder.resolve("nbd");
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(socket));
        try (NbdServer server = new NbdServer(exports(), line -> {})) {
            server.listenUnix(listener, socket);
            NbdSource source = new NbdSource("nbd+unix:///vol?socket=" + socket, folder, () -> "");
            CompletableFuture<Void> other = CompletableFuture.runAsync(() -> read(source));
            read(source);
            other.get(30, TimeUnit.SECONDS);
            assertEquals(3, server.openConnections(), "one for each reader, and one for questions about holes");
            Thread.currentThread().interrupt();
            // None takes leave.
            assertThrows(ClosedByInterruptException.class, source::close);
            assertTrue(Thread.interrupted());
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (server.openConnections() > 0) {
                assertTrue(System.nanoTime() < deadline, "a view could not be thawed");
                Thread.onSpinWait();
            }
        }
    }

    private static void read(NbdSource source) {
        try {
            source.read(0, 4096, ByteBuffer.allocate(4096), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
