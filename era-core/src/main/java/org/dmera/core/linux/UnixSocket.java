// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Unix sockets that Java has none of: a stream socket as a bare descriptor, to be handed to the kernel; and datagrams. */
public final class UnixSocket {
    private static final int AF_UNIX = 1;
    private static final int SOCK_STREAM = 1;
    private static final int SOCK_DGRAM = 2;
    private static final int SOCK_CLOEXEC = 02000000;
    /** sizeof(struct sockaddr_un). */
    private static final int ADDRESS_BYTES = 110;

    private UnixSocket() {}

    /** Connects to the socket at {@code path}; returns the descriptor. */
    public static int connect(String path) throws ErrnoException {
        return connect(path, SOCK_STREAM);
    }

    /** Sends one datagram to the socket at {@code path}, which is an abstract name when it begins with {@code @}. */
    public static void send(String path, String text) throws ErrnoException {
        int fd = connect(path, SOCK_DGRAM);
        try {
            byte[] bytes = NativeText.bytes(text);
            ByteBuffer message = ByteBuffer.allocateDirect(bytes.length).put(bytes);
            if (Libc.CALLS.write(fd, RawIo.address(message), bytes.length) < 0) {
                throw new ErrnoException("send to " + path, Libc.errno());
            }
        } finally {
            FileDescriptors.close(fd);
        }
    }

    private static int connect(String path, int type) throws ErrnoException {
        byte[] name = NativeText.bytes(path);
        if (name.length > ADDRESS_BYTES - 3) {
            throw new ErrnoException("connect to " + path + ", a path too long for a socket", Errno.EINVAL.number());
        }
        int fd = Libc.CALLS.socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            throw new ErrnoException("socket", Libc.errno());
        }
        ByteBuffer address = ByteBuffer.allocateDirect(ADDRESS_BYTES).order(ByteOrder.nativeOrder());
        address.putShort((short) AF_UNIX).put(name);
        int length = ADDRESS_BYTES;
        if (path.startsWith("@")) {
            // All bytes of an abstract name count, so there must be none after it.
            address.put(Short.BYTES, (byte) 0);
            length = Short.BYTES + name.length;
        }
        if (Libc.CALLS.connect(fd, RawIo.address(address), length) < 0) {
            int errno = Libc.errno();
            FileDescriptors.close(fd);
            throw new ErrnoException("connect to " + path, errno);
        }
        return fd;
    }
}
