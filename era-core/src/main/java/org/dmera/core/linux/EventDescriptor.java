// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** An eventfd(2): any thread wakes the one that waits for what it waits for, this among it, by a ring of its own. */
public final class EventDescriptor implements Closeable {
    private final int fd;
    private final ByteBuffer one =
            ByteBuffer.allocateDirect(Long.BYTES).order(ByteOrder.nativeOrder()).putLong(0, 1);
    private final long oneAddress = RawIo.address(one);
    /** Where a read of the descriptor goes. */
    private final ByteBuffer count = ByteBuffer.allocateDirect(Long.BYTES);

    private final long countAddress = RawIo.address(count);
    private boolean closed;

    public EventDescriptor() throws ErrnoException {
        fd = Libc.CALLS.eventfd(0, FileDescriptors.O_CLOEXEC);
        if (fd < 0) {
            throw new ErrnoException("eventfd", Libc.errno());
        }
    }

    /** Has the ring complete a request as soon as this is {@linkplain #raise raised}; each raise ends one. */
    public void await(IoUring ring, long userData) {
        ring.putRead(fd, countAddress, Long.BYTES, userData);
    }

    /** Wakes the thread that waits, or will wait, for this; nobody, once it is closed: its number may be another file's then. */
    public synchronized void raise() throws ErrnoException {
        if (closed) {
            return;
        }
        long n = RawIo.write(fd, oneAddress, Long.BYTES);
        if (n != Long.BYTES) {
            throw new ErrnoException("write to an eventfd", (int) -n);
        }
    }

    @Override
    public synchronized void close() throws ErrnoException {
        if (!closed) {
            closed = true;
            FileDescriptors.close(fd);
        }
    }
}
