// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.nio.ByteBuffer;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;

/** ioctl(2), with a buffer that the driver reads and writes, or with a number. */
public final class Ioctl {
    private Ioctl() {}

    /**
     * Makes the call on {@code buffer}, from 0 to its limit; afterwards it holds what the driver left. EINTR is retried:
     * a signal to a JVM is the JVM's own business, and never means that the caller wants to give up.
     *
     * @return 0 or what else the call returned, or −errno
     */
    public static int call(int fd, long request, ByteBuffer buffer) {
        int bytes = buffer.limit();
        byte[] copy = new byte[bytes];
        buffer.get(0, copy);
        Pointer memory = Memory.allocateDirect(Libc.RUNTIME, bytes, true);
        memory.put(0, copy, 0, bytes);
        int result;
        do {
            result = Libc.CALLS.ioctl(fd, request, memory);
            result = result < 0 ? -Libc.errno() : result;
        } while (result == -Errno.EINTR.number());
        memory.get(0, copy, 0, bytes);
        buffer.put(0, copy);
        return result;
    }

    /** As {@link #call(int, long, ByteBuffer)} with a number in place of a buffer. */
    public static int call(int fd, long request, long argument) {
        int result;
        do {
            result = Libc.CALLS.ioctl(fd, request, argument);
            result = result < 0 ? -Libc.errno() : result;
        } while (result == -Errno.EINTR.number());
        return result;
    }
}
