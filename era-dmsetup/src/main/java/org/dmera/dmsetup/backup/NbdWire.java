// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import org.dmera.dmsetup.export.Nbd;
import org.dmera.dmsetup.targets.Failures;

/** The client's end of one NBD connection (the protocol's doc/proto.md), up to where options are agreed on, and requests. */
final class NbdWire implements Closeable {
    /** {@code NBDMAGIC} and {@code IHAVEOPT}, and what the server's flags and ours mean: newstyle, and no padding. */
    private final SocketChannel channel;

    private final ByteBuffer request = ByteBuffer.allocate(28);

    /** Connects, and announces that the options are next. */
    NbdWire(Path socket) throws IOException {
        try {
            channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        } catch (IOException e) {
            throw new IOException("no engine answers at " + socket + ": " + e.getMessage(), e);
        }
        try {
            ByteBuffer hello = receive(ByteBuffer.allocate(18));
            if (hello.getLong() != Nbd.MAGIC || hello.getLong() != Nbd.OPTION_MAGIC) {
                throw new IOException(socket + ": no server of the newstyle NBD protocol");
            }
            send(ByteBuffer.allocate(4)
                    .putInt(Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES)
                    .flip());
        } catch (IOException | RuntimeException | Error e) {
            Failures.after(e, this::drop);
            throw e;
        }
    }

    /** Sends an option, with what is between the position and the limit of {@code data}. */
    void option(int option, ByteBuffer data) throws IOException {
        send(ByteBuffer.allocate(16 + data.remaining())
                .putLong(Nbd.OPTION_MAGIC)
                .putInt(option)
                .putInt(data.remaining())
                .put(data)
                .flip());
    }

    /** Sends a request without a payload, of which {@code offset} is the cookie, too. */
    void request(int command, long offset, int length) throws IOException {
        request.clear();
        request.putInt(Nbd.REQUEST_MAGIC)
                .putShort((short) 0)
                .putShort((short) command)
                .putLong(offset)
                .putLong(offset)
                .putInt(length);
        send(request.flip());
    }

    private void send(ByteBuffer out) throws IOException {
        while (out.hasRemaining()) {
            channel.write(out);
        }
    }

    /** Fills the buffer, and flips it. */
    ByteBuffer receive(ByteBuffer into) throws IOException {
        receiveInto(into);
        return into.flip();
    }

    /** Fills the buffer. */
    void receiveInto(ByteBuffer into) throws IOException {
        while (into.hasRemaining()) {
            if (channel.read(into) < 0) {
                throw new EOFException("the engine closed the connection");
            }
        }
    }

    /** Ends the connection without a word, as after a failure. */
    void drop() throws IOException {
        channel.close();
    }

    /** Takes leave. */
    @Override
    public void close() throws IOException {
        try (channel) {
            request(Nbd.CMD_DISC, 0, 0);
        }
    }
}
