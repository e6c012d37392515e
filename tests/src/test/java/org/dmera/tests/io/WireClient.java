// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * An NBD client that sends just what it is told, right or wrong. It chooses its export in the old way, without structured
 * replies: the oldest client that the server must still serve.
 */
public final class WireClient implements Closeable {
    static final int READ = 0;
    static final int WRITE = 1;
    static final int FLUSH = 3;
    static final int TRIM = 4;
    static final int CACHE = 5;
    static final int WRITE_ZEROES = 6;

    private static final int HEADER_BYTES = 28;
    private static final int REPLY_BYTES = 16;

    final SocketChannel channel;

    WireClient(Path socket) throws IOException {
        this(SocketChannel.open(UnixDomainSocketAddress.of(socket)));
    }

    private WireClient(SocketChannel channel) {
        this.channel = channel;
    }

    /** Connects and chooses an export. */
    public static WireClient open(Path socket, String export) throws IOException {
        return open(SocketChannel.open(UnixDomainSocketAddress.of(socket)), export);
    }

    /** Chooses an export by a connection that is there. */
    static WireClient open(SocketChannel channel, String export) throws IOException {
        WireClient client = new WireClient(channel);
        try {
            byte[] name = export.getBytes(StandardCharsets.UTF_8);
            client.receive(18);
            client.send(ByteBuffer.allocate(20 + name.length)
                    .putInt(3)
                    .putLong(0x49484156454F5054L)
                    .putInt(1)
                    .putInt(name.length)
                    .put(name));
            client.receive(10);
            return client;
        } catch (IOException e) {
            client.close();
            throw e;
        }
    }

    /** Sends what was put into {@code filled}. */
    void send(ByteBuffer filled) throws IOException {
        filled.flip();
        while (filled.hasRemaining()) {
            channel.write(filled);
        }
    }

    /** Sends a request; {@code payload} may be null, or shorter than it says. */
    void request(int command, long cookie, long offset, int length, byte[] payload) throws IOException {
        ByteBuffer request = ByteBuffer.allocate(HEADER_BYTES + (payload == null ? 0 : payload.length));
        request.putInt(0x25609513).putShort((short) 0).putShort((short) command);
        request.putLong(cookie).putLong(offset).putInt(length);
        send(payload == null ? request : request.put(payload));
    }

    /** The error number and the cookie of the next answer. */
    record Answer(int error, long cookie) {}

    Answer answer() throws IOException {
        ByteBuffer reply = receive(REPLY_BYTES);
        if (reply.getInt() != 0x67446698) {
            throw new IOException("not a simple reply");
        }
        return new Answer(reply.getInt(), reply.getLong());
    }

    ByteBuffer receive(int bytes) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(bytes);
        while (data.hasRemaining()) {
            if (channel.read(data) < 0) {
                throw new EOFException("the server closed the connection");
            }
        }
        return data.flip();
    }

    /** Writes and waits; the error number, 0 for none. */
    public int write(long offset, byte[] data) throws IOException {
        request(WRITE, 1, offset, data.length, data);
        return answer().error;
    }

    /** Reads and waits; null when it failed. */
    public byte[] read(long offset, int length) throws IOException {
        request(READ, 2, offset, length, null);
        return answer().error == 0 ? receive(length).array() : null;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
