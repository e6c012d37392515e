// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** poll(2) for one descriptor that is to be read from; for one thread. */
public final class InputPoll {
    private static final short POLLIN = 1;
    private static final short POLLERR = 8;

    /** struct pollfd: the descriptor, the events asked for, the events that came. */
    private final ByteBuffer pollfd = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());

    private final long address = RawIo.address(pollfd);

    public InputPoll(int fd) {
        pollfd.putInt(0, fd).putShort(4, POLLIN);
    }

    /** Whether nothing can come any more. Does not wait. */
    public boolean hasFailed() {
        pollfd.putShort(6, (short) 0);
        return Libc.CALLS.poll(address, 1, 0) > 0 && (pollfd.getShort(6) & POLLERR) != 0;
    }

    /** Returns when a read would not wait, because there is something, or it is over; or after a signal. */
    public void await() throws ErrnoException {
        if (Libc.CALLS.poll(address, 1, -1) < 0) {
            int errno = Libc.errno();
            if (errno != Errno.EINTR.number()) {
                throw new ErrnoException("poll of descriptor " + pollfd.getInt(0), errno);
            }
        }
    }
}
