// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.EOFException;
import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.NativeText;
import org.dmera.tools.backup.copy.OriginSource;

/**
 * A device of an engine, read over NBD by its Unix socket: as many connections as there are threads that read, each with one
 * request at a time, and the simplest replies that there are.
 */
final class NbdSource implements OriginSource {
    /** {@code NBDMAGIC} and {@code IHAVEOPT}, and what the server's flags and ours mean: newstyle, and no padding. */
    private static final long MAGIC = 0x4e42444d41474943L;

    private static final long OPTION_MAGIC = 0x49484156454f5054L;
    private static final int FIXED_NEWSTYLE_WITHOUT_ZEROES = 3;
    private static final int OPTION_EXPORT_NAME = 1;
    private static final int REQUEST_MAGIC = 0x25609513;
    private static final int REPLY_MAGIC = 0x67446698;
    private static final int COMMAND_READ = 0;
    private static final int COMMAND_DISCONNECT = 2;
    private static final int COMMAND_FLUSH = 3;

    /** Why a read can have failed, as far as somebody else knows. */
    interface Reason {
        String text() throws IOException;
    }

    private final Path origin;
    private final String export;
    private final Path socket;
    private final Reason reason;
    private final long sizeBytes;
    private final Queue<Connection> idle = new ConcurrentLinkedQueue<>();

    /**
     * Connects.
     *
     * @param uri as the engine gives it: {@code nbd+unix:///EXPORT?socket=PATH}
     * @param origin what the device lies on
     */
    NbdSource(String uri, Path origin, Reason reason) throws IOException {
        URI parsed = URI.create(uri);
        String socketPart = "socket=";
        if (!"nbd+unix".equals(parsed.getScheme()) || !parsed.getRawQuery().startsWith(socketPart)) {
            throw new IOException(uri + ": expected nbd+unix:///EXPORT?socket=PATH");
        }
        this.origin = origin;
        this.export = decoded(parsed.getRawPath().substring(1));
        this.socket = NativeText.path(decoded(parsed.getRawQuery().substring(socketPart.length())));
        this.reason = reason;
        Connection first = new Connection();
        sizeBytes = first.sizeBytes;
        idle.add(first);
    }

    private static String decoded(String escaped) {
        return URLDecoder.decode(escaped, NativeText.CHARSET);
    }

    @Override
    public Path path() {
        return origin;
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public void read(long offset, int length, ByteBuffer into, int at) throws IOException {
        use("reading " + length + " bytes at " + offset, connection -> {
            connection.ask(COMMAND_READ, offset, length);
            connection.receiveInto(into.limit(at + length).position(at));
        });
    }

    /** Flushes: a view says by that whether all that was read of it is right. */
    void flush() throws IOException {
        use("flushing", connection -> connection.ask(COMMAND_FLUSH, 0, 0));
    }

    /** What is done with a connection. */
    private interface Use {
        void with(Connection connection) throws IOException;
    }

    private void use(String what, Use use) throws IOException {
        Connection connection = idle.poll();
        boolean done = false;
        try {
            if (connection == null) {
                connection = new Connection();
            }
            use.with(connection);
            done = true;
            idle.add(connection);
        } catch (IOException e) {
            String known = known();
            throw new IOException(export + ": " + what + " failed: " + (known.isEmpty() ? e.getMessage() : known), e);
        } finally {
            if (!done && connection != null) {
                connection.channel.close();
            }
        }
    }

    private String known() {
        try {
            return reason.text();
        } catch (IOException e) {
            return "";
        }
    }

    @Override
    public void close() throws IOException {
        Connection connection;
        while ((connection = idle.poll()) != null) {
            connection.close();
        }
    }

    /** One connection, used by one thread at a time. */
    private final class Connection {
        final SocketChannel channel;
        final long sizeBytes;
        private final ByteBuffer header = ByteBuffer.allocate(28);

        Connection() throws IOException {
            channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
            boolean agreed = false;
            try {
                sizeBytes = agree();
                agreed = true;
            } finally {
                if (!agreed) {
                    channel.close();
                }
            }
        }

        private long agree() throws IOException {
            ByteBuffer hello = receive(ByteBuffer.allocate(18));
            if (hello.getLong() != MAGIC || hello.getLong() != OPTION_MAGIC) {
                throw new IOException(socket + ": no server of the newstyle NBD protocol");
            }
            byte[] name = NativeText.bytes(export);
            send(ByteBuffer.allocate(20 + name.length)
                    .putInt(FIXED_NEWSTYLE_WITHOUT_ZEROES)
                    .putLong(OPTION_MAGIC)
                    .putInt(OPTION_EXPORT_NAME)
                    .putInt(name.length)
                    .put(name)
                    .flip());
            try {
                return receive(ByteBuffer.allocate(10)).getLong();
            } catch (EOFException e) {
                throw new IOException(socket + ": no export " + export, e);
            }
        }

        /** Sends a request, and takes the head of its answer. */
        void ask(int command, long offset, int length) throws IOException {
            request(command, offset, length);
            ByteBuffer reply = receive(header.clear().limit(16));
            int magic = reply.getInt();
            int error = reply.getInt();
            if (magic != REPLY_MAGIC) {
                throw new IOException("a reply with magic number " + Integer.toHexString(magic));
            }
            if (error != 0) {
                throw new IOException(Errno.name(error));
            }
        }

        private void request(int command, long offset, int length) throws IOException {
            header.clear();
            header.putInt(REQUEST_MAGIC)
                    .putShort((short) 0)
                    .putShort((short) command)
                    .putLong(offset)
                    .putLong(offset)
                    .putInt(length);
            send(header.flip());
        }

        private void send(ByteBuffer out) throws IOException {
            while (out.hasRemaining()) {
                channel.write(out);
            }
        }

        private ByteBuffer receive(ByteBuffer into) throws IOException {
            receiveInto(into);
            return into.flip();
        }

        void receiveInto(ByteBuffer into) throws IOException {
            while (into.hasRemaining()) {
                if (channel.read(into) < 0) {
                    throw new EOFException("the engine closed the connection");
                }
            }
        }

        void close() throws IOException {
            try (channel) {
                request(COMMAND_DISCONNECT, 0, 0);
            }
        }
    }
}
