// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.nio.ByteBuffer;

/**
 * read(2), write(2) and pwrite(2) on a descriptor that Java has no channel for, such as one of {@code /dev/fuse}, with memory given
 * by its address: nothing is copied or allocated on the way. The caller keeps the buffer reachable meanwhile.
 */
public final class RawIo {
    private RawIo() {}

    /** Where a direct buffer's byte 0 lies in memory. */
    public static long address(ByteBuffer direct) {
        return jnr.ffi.Pointer.wrap(Libc.RUNTIME, direct.duplicate().position(0))
                .address();
    }

    /** Reads once; the number of bytes, 0 at the end, or −errno. */
    public static long read(int fd, long address, long bytes) {
        long n = Libc.CALLS.read(fd, address, bytes);
        return n < 0 ? -Libc.errno() : n;
    }

    /** Writes once; the number of bytes, or −errno. */
    public static long write(int fd, long address, long bytes) {
        long n = Libc.CALLS.write(fd, address, bytes);
        return n < 0 ? -Libc.errno() : n;
    }

    /** Writes once at an offset; the number of bytes, or −errno. */
    public static long pwrite(int fd, long address, long bytes, long offsetBytes) {
        long n = Libc.CALLS.pwrite(fd, address, bytes, offsetBytes);
        return n < 0 ? -Libc.errno() : n;
    }
}
