// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.TrustedFolder;

/**
 * The engine's end of control by its Unix socket. A request is u32 length of all that follows, u32 command number, the
 * buffer; an answer is u32 length, s32 result (0 or −errno), the buffer. Little-endian. Calls on one connection are
 * answered in order, so this object makes one at a time.
 */
public final class SocketControl implements Control {
    /** Nothing longer is read, on either side. */
    static final int MAX_FRAME_BYTES = 16 << 20;

    private static final String MAKER_PROPERTY = "java.nio.channels.spi.SelectorProvider";
    private static final String LINUX_MAKER = "sun.nio.ch.EPollSelectorProvider";

    private final Path path;
    /** Another one after a call that failed, which closes it: what is still to come there is no answer to the next one. */
    private volatile SocketChannel channel;

    private volatile boolean isClosed;

    private SocketControl(Path path, SocketChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    /** Connects; fails when nobody answers at {@code path}, or the socket's mode forbids it. */
    public static SocketControl connect(Path path) throws IOException {
        return new SocketControl(path, open(path));
    }

    private static SocketChannel open(Path path) throws IOException {
        checkOwner(path);
        spareLookups();
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.connect(UnixDomainSocketAddress.of(path));
            return channel;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e instanceof IOException io ? io : new IOException(path + ": " + e.getMessage(), e);
        }
    }

    /**
     * Names the maker of sockets that Java takes on Linux: else it looks for others in every jar, which takes longer than
     * the call.
     */
    private static void spareLookups() {
        if (System.getProperty(MAKER_PROPERTY) == null
                && Class.forName(Object.class.getModule(), LINUX_MAKER) != null) {
            System.setProperty(MAKER_PROPERTY, LINUX_MAKER);
        }
    }

    /** Fails for a socket that somebody else could have put there: in /tmp, where everybody may. */
    private static void checkOwner(Path path) throws IOException {
        if (path.startsWith("/tmp") && Files.exists(path) && !"root".equals(System.getProperty("user.name"))) {
            TrustedFolder.requireOwner(path.toRealPath());
        }
    }

    /** Who is interrupted in a call, or left alone by the engine, doesn't know what became of it; the next call is made anew. */
    @Override
    public synchronized int call(int command, ByteBuffer buffer) throws IOException {
        boolean answered = false;
        try {
            if (!channel.isOpen() && !isClosed) {
                channel = open(path);
                if (isClosed) {
                    channel.close();
                }
            }
            int result = ask(command, buffer);
            answered = true;
            return result;
        } catch (ClosedChannelException e) {
            // By whoever closed this, or interrupted the caller.
            throw e;
        } catch (IOException e) {
            // "Broken pipe" alone says nothing.
            throw new IOException(describe() + ": " + e.getMessage(), e);
        } finally {
            if (!answered) {
                channel.close();
            }
        }
    }

    private int ask(int command, ByteBuffer buffer) throws IOException {
        send(channel, command, buffer);

        ByteBuffer head = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        readFully(head);
        head.flip();
        int length = head.getInt();
        int result = head.getInt();
        if (length < 4 || length > MAX_FRAME_BYTES) {
            throw new IOException("answer of " + Integer.toUnsignedString(length) + " bytes");
        }
        // An engine that could not make sense of the request answers without a buffer.
        ByteBuffer answer = ByteBuffer.allocate(length - 4);
        readFully(answer);
        answer.flip();
        answer.limit(Math.min(answer.limit(), buffer.limit()));
        buffer.duplicate().position(0).put(answer);
        return result;
    }

    /** Sends a frame, of either side: the length, {@code word} (a command or a result), and all of {@code buffer}. */
    static void send(SocketChannel channel, int word, ByteBuffer buffer) throws IOException {
        ByteBuffer payload = buffer.duplicate().position(0);
        ByteBuffer head = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        head.putInt(4 + payload.remaining()).putInt(word).flip();
        ByteBuffer[] frame = {head, payload};
        while (payload.hasRemaining() || head.hasRemaining()) {
            channel.write(frame);
        }
    }

    private void readFully(ByteBuffer into) throws IOException {
        while (into.hasRemaining()) {
            if (channel.read(into) < 0) {
                throw new EOFException("closed the connection");
            }
        }
    }

    @Override
    public String describe() {
        return "engine at " + path;
    }

    @Override
    public void close() throws IOException {
        isClosed = true;
        channel.close();
    }
}
