// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A socket that was bound, and listens, before this program was started, by whoever started it.
 *
 * <p>Java takes over one at most, as standard input. For others a channel is made and bound to a name that nobody is told, and
 * its descriptor then made the other socket's by dup2(2). The channel accepts from that, and knows itself by the name
 * that it had: {@link #address} has the true one.
 */
public final class ListeningSocket {
    private static final int SO_TYPE = 3;
    private static final int SO_RCVBUF = 8;
    private static final int SO_ACCEPTCONN = 30;
    private static final int SOCK_STREAM = 1;

    private static final int AF_UNIX = 1;
    private static final int AF_INET = 2;
    private static final int AF_INET6 = 10;
    private static final int ADDRESS_BYTES = 128;
    private static final int PORT_AT = 2;
    private static final int IPV4_AT = 4;
    private static final int IPV6_AT = 8;

    private ListeningSocket() {}

    /**
     * Where the socket listens.
     *
     * @throws IOException when {@code fd} is no stream socket that listens at a path or a TCP address
     */
    public static SocketAddress address(int fd) throws IOException {
        if (PeerPoll.value(fd, SO_TYPE) != SOCK_STREAM || PeerPoll.value(fd, SO_ACCEPTCONN) != 1) {
            throw new IOException("descriptor " + fd + " is no stream socket that listens");
        }
        ByteBuffer address =
                ByteBuffer.allocateDirect(ADDRESS_BYTES + Integer.BYTES).order(ByteOrder.nativeOrder());
        address.putInt(ADDRESS_BYTES, ADDRESS_BYTES);
        long at = RawIo.address(address);
        if (Libc.CALLS.getsockname(fd, at, at + ADDRESS_BYTES) < 0) {
            throw new ErrnoException("getsockname of descriptor " + fd, Libc.errno());
        }
        int length = address.getInt(ADDRESS_BYTES);
        short family = address.getShort(0);
        int port = Short.toUnsignedInt(address.order(ByteOrder.BIG_ENDIAN).getShort(PORT_AT));
        return switch (family) {
            case AF_UNIX -> UnixDomainSocketAddress.of(NativeText.path(path(address, fd, length)));
            case AF_INET -> new InetSocketAddress(InetAddress.getByAddress(bytes(address, IPV4_AT, 4)), port);
            case AF_INET6 -> new InetSocketAddress(InetAddress.getByAddress(bytes(address, IPV6_AT, 16)), port);
            default -> throw new IOException("descriptor " + fd + " listens neither at a path nor by TCP");
        };
    }

    private static String path(ByteBuffer address, int fd, int length) throws IOException {
        int end = Short.BYTES;
        while (end < length && address.get(end) != 0) {
            end++;
        }
        if (end == Short.BYTES) {
            throw new IOException("descriptor " + fd + " listens at no path");
        }
        return NativeText.of(bytes(address, Short.BYTES, end - Short.BYTES));
    }

    private static byte[] bytes(ByteBuffer from, int at, int length) {
        byte[] bytes = new byte[length];
        from.get(at, bytes);
        return bytes;
    }

    /**
     * A channel that accepts what comes to the socket. The descriptor is closed.
     *
     * @param folder a private one, where the channel is bound for a moment
     */
    public static ServerSocketChannel take(int fd, Path folder) throws IOException {
        boolean unix = address(fd) instanceof UnixDomainSocketAddress;
        ServerSocketChannel channel =
                unix ? ServerSocketChannel.open(StandardProtocolFamily.UNIX) : ServerSocketChannel.open();
        try {
            if (unix) {
                Path name = folder.resolve("unused");
                channel.bind(UnixDomainSocketAddress.of(name), 1);
                Files.delete(name);
            } else {
                channel.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1);
            }
            FileDescriptors.replace(PeerPoll.find(channel, StandardSocketOptions.SO_RCVBUF, SO_RCVBUF), fd);
            FileDescriptors.close(fd);
            return channel;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }
}
