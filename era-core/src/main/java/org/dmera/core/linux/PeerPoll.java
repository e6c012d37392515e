// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketOption;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.NetworkChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Tells whether the other end of a connected socket is still there, also while much that it has sent is still unread: by
 * poll(2), which no Java channel asks for that.
 *
 * <p>A Unix socket whose other end was closed is told from one that merely sends no more. With TCP these are the same until
 * something is sent to it and refused.
 */
public final class PeerPoll {
    private static final short POLLERR = 0x8;
    private static final short POLLHUP = 0x10;
    private static final short POLLNVAL = 0x20;
    private static final short POLLRDHUP = 0x2000;

    private static final int SOL_SOCKET = 1;
    private static final int SO_RCVBUF = 8;
    private static final int SO_LINGER = 13;
    private static final int SO_PEERCRED = 17;
    private static final int F_GETFD = 1;
    /** More descriptors than this are not closed in a moment. */
    private static final int MAX_UNUSED = 1024;

    private static final int IPPROTO_TCP = 6;
    private static final int TCP_INFO = 11;
    /** struct tcp_info, as far as it is needed, and where in it the fields are. */
    private static final int TCP_INFO_BYTES = 60;

    private static final int TCPI_RETRANSMITS = 2;
    private static final int TCPI_PROBES = 3;
    private static final int TCPI_LAST_ACK_RECV = 56;

    private final SocketChannel socket;
    private final boolean unix;
    private final int fd;
    /** struct pollfd: the descriptor, the events asked for, the events that came. */
    private final ByteBuffer pollfd = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());

    private final long address = RawIo.address(pollfd);

    /**
     * For a connected {@code socket}.
     *
     * @throws IOException also when its descriptor can't be found
     */
    public PeerPoll(SocketChannel socket) throws IOException {
        this.socket = socket;
        this.unix = socket.getRemoteAddress() instanceof UnixDomainSocketAddress;
        this.fd = unix
                ? find(socket, StandardSocketOptions.SO_RCVBUF, SO_RCVBUF)
                : find(socket, StandardSocketOptions.SO_LINGER, SO_LINGER);
        pollfd.putInt(0, fd).putShort(4, POLLRDHUP);
    }

    /** Whether nothing that is sent can arrive. */
    public boolean isCut() {
        return (events() & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    }

    /** Whether nothing more will be sent by the other end; of a Unix socket, whether it is closed. */
    public boolean hasEnded() {
        int fatal = POLLERR | POLLHUP | POLLNVAL;
        return (events() & (unix ? fatal : fatal | POLLRDHUP)) != 0;
    }

    private synchronized int events() {
        if (!socket.isOpen()) {
            return POLLHUP;
        }
        pollfd.putShort(6, (short) 0);
        return Libc.CALLS.poll(address, 1, 0) > 0 ? pollfd.getShort(6) : 0;
    }

    /**
     * Who is at the other end of {@code socket}, for people: an address with its port, or for a Unix socket the user and the
     * process that connected, as the kernel knows them.
     */
    public static String peer(SocketChannel socket) {
        try {
            if (socket.getRemoteAddress() instanceof InetSocketAddress address) {
                String host = address.getAddress().getHostAddress();
                return (host.contains(":") ? "[" + host + "]" : host) + ":" + address.getPort();
            }
            return new PeerPoll(socket).user();
        } catch (IOException e) {
            return "a client that has gone";
        }
    }

    private String user() throws IOException {
        ByteBuffer credentials = ByteBuffer.allocateDirect(4 * Integer.BYTES).order(ByteOrder.nativeOrder());
        credentials.putInt(3 * Integer.BYTES, 3 * Integer.BYTES);
        long at = RawIo.address(credentials);
        if (Libc.CALLS.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, at, at + 3L * Integer.BYTES) < 0) {
            throw new ErrnoException("getsockopt SO_PEERCRED", Libc.errno());
        }
        int pid = credentials.getInt(0);
        // One in a namespace that we do not see into has none.
        return "uid " + Integer.toUnsignedString(credentials.getInt(Integer.BYTES)) + (pid > 0 ? " pid " + pid : "");
    }

    /**
     * Whether this is TCP, what was sent was sent again, or a full window asked about, without an answer, and no
     * acknowledgement of anything came for {@code millis}.
     */
    public boolean isUnacknowledged(int millis) throws IOException {
        if (unix) {
            return false;
        }
        ByteBuffer info =
                ByteBuffer.allocateDirect(TCP_INFO_BYTES + Integer.BYTES).order(ByteOrder.nativeOrder());
        info.putInt(TCP_INFO_BYTES, TCP_INFO_BYTES);
        long at = RawIo.address(info);
        synchronized (this) {
            if (!socket.isOpen()) {
                return false;
            }
            if (Libc.CALLS.getsockopt(fd, IPPROTO_TCP, TCP_INFO, at, at + TCP_INFO_BYTES) < 0) {
                throw new ErrnoException("getsockopt TCP_INFO", Libc.errno());
            }
        }
        boolean asked = info.get(TCPI_RETRANSMITS) != 0 || info.get(TCPI_PROBES) != 0;
        return asked && Integer.compareUnsigned(info.getInt(TCPI_LAST_ACK_RECV), millis) >= 0;
    }

    /**
     * The descriptor of a channel, which Java keeps to itself: the one on which an option changes with the channel's. The
     * option is one that changes nothing here: the size that a Unix socket would receive into, and how long a close
     * lingers; it is put back.
     */
    static int find(NetworkChannel socket, SocketOption<Integer> option, int number) throws IOException {
        synchronized (PeerPoll.class) {
            int before = socket.getOption(option);
            // Linux tells twice what a buffer's size was set to.
            int factor = option.equals(StandardSocketOptions.SO_RCVBUF) ? 2 : 1;
            try {
                List<Integer> candidates = open();
                for (int mark : new int[] {9_001, 9_002, 9_003}) {
                    socket.setOption(option, mark);
                    candidates.removeIf(fd -> value(fd, number) != factor * mark);
                }
                if (candidates.size() != 1) {
                    throw new IOException("descriptor of a socket: " + candidates.size() + " found");
                }
                return candidates.get(0);
            } finally {
                socket.setOption(option, before / (before > 0 ? factor : 1));
            }
        }
    }

    private static List<Integer> open() throws IOException {
        List<Integer> open = new ArrayList<>();
        try (DirectoryStream<Path> links = Files.newDirectoryStream(Path.of("/proc/thread-self/fd"))) {
            for (Path link : links) {
                open.add(Integer.parseInt(link.getFileName().toString()));
            }
        } catch (FileSystemException e) {
            // There is none left to list them by: then the numbers are in use up to the last, or were just now.
            for (int fd = 0, unused = 0; unused < MAX_UNUSED; fd++) {
                if (Libc.CALLS.fcntl(fd, F_GETFD, 0) >= 0) {
                    open.add(fd);
                } else {
                    unused++;
                }
            }
        }
        return open;
    }

    /** The option's number, of a linger the seconds; −1 for what is no socket. */
    static int value(int fd, int option) {
        ByteBuffer value = ByteBuffer.allocateDirect(3 * Integer.BYTES).order(ByteOrder.nativeOrder());
        int bytes = option == SO_LINGER ? 2 * Integer.BYTES : Integer.BYTES;
        value.putInt(2 * Integer.BYTES, bytes);
        long at = RawIo.address(value);
        if (Libc.CALLS.getsockopt(fd, SOL_SOCKET, option, at, at + 2L * Integer.BYTES) < 0) {
            return -1;
        }
        return value.getInt(bytes - Integer.BYTES);
    }
}
