// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A Unix stream socket as a bare descriptor, to be handed to the kernel; Java's own channels don't give theirs away. */
public final class UnixSocket {
    private static final int AF_UNIX = 1;
    private static final int SOCK_STREAM = 1;
    private static final int SOCK_CLOEXEC = 02000000;
    /** sizeof(struct sockaddr_un). */
    private static final int ADDRESS_BYTES = 110;

    private UnixSocket() {}

    /** Connects to the socket at {@code path}; returns the descriptor. */
    public static int connect(String path) throws ErrnoException {
        byte[] name = NativeText.bytes(path);
        if (name.length > ADDRESS_BYTES - 3) {
            throw new ErrnoException("connect to " + path + ", a path too long for a socket", Errno.EINVAL.number());
        }
        int fd = Libc.CALLS.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            throw new ErrnoException("socket", Libc.errno());
        }
        ByteBuffer address = ByteBuffer.allocateDirect(ADDRESS_BYTES).order(ByteOrder.nativeOrder());
        address.putShort((short) AF_UNIX).put(name);
        if (Libc.CALLS.connect(fd, RawIo.address(address), ADDRESS_BYTES) < 0) {
            int errno = Libc.errno();
            FileDescriptors.close(fd);
            throw new ErrnoException("connect to " + path, errno);
        }
        return fd;
    }
}
