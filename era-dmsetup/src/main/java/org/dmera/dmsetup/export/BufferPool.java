// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Direct buffers for reuse, in sizes of powers of two. Direct memory is given back only when the collector happens to run,
 * so a client that connects and leaves ten thousand times must not cost a fresh buffer each time. They begin at a page: the
 * kernel copies aligned memory faster.
 */
final class BufferPool {
    private static final int SMALLEST_LOG2 = 12;
    private static final int LARGEST_LOG2 = 22;
    static final int LARGEST_BYTES = 1 << LARGEST_LOG2;

    private static final int PAGE_BYTES = 4096;

    private final ArrayDeque<ByteBuffer>[] idle;
    private final long maxIdleBytes;
    private final AtomicLong idleBytes = new AtomicLong();

    /** One that keeps so many bytes of idle buffers at most. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    BufferPool(long maxIdleBytes) {
        this.maxIdleBytes = maxIdleBytes;
        idle = new ArrayDeque[LARGEST_LOG2 + 1];
        for (int i = SMALLEST_LOG2; i <= LARGEST_LOG2; i++) {
            // Room for all that may be kept: to give one back takes no memory.
            idle[i] = new ArrayDeque<>((int) (maxIdleBytes >> i));
        }
    }

    /** The capacity of the buffer that {@link #take} gives. */
    static int capacity(int bytes) {
        return 1 << log2(bytes);
    }

    /** A buffer at position 0 whose limit is {@code bytes}, at most {@link #LARGEST_BYTES}. */
    ByteBuffer take(int bytes) {
        int log2 = log2(bytes);
        if (log2 > LARGEST_LOG2) {
            throw new IllegalArgumentException("a buffer of " + bytes + " bytes");
        }
        ByteBuffer buffer;
        synchronized (idle[log2]) {
            buffer = idle[log2].pollLast();
        }
        if (buffer == null) {
            buffer = ByteBuffer.allocateDirect((1 << log2) + PAGE_BYTES)
                    .alignedSlice(PAGE_BYTES)
                    .slice(0, 1 << log2);
        } else {
            idleBytes.getAndAdd(-buffer.capacity());
        }
        return buffer.clear().limit(bytes);
    }

    /** Gives back what {@link #take} gave. The size that is in use has the room, if need be of idle ones of other sizes. */
    void give(ByteBuffer buffer) {
        int log2 = log2(buffer.capacity());
        idleBytes.getAndAdd(buffer.capacity());
        while (idleBytes.get() > maxIdleBytes) {
            if (!dropOther(log2)) {
                // The collector's.
                idleBytes.getAndAdd(-buffer.capacity());
                return;
            }
        }
        synchronized (idle[log2]) {
            idle[log2].addLast(buffer);
        }
    }

    /** Leaves an idle buffer of another size, the largest, to the collector; false when there is none. */
    private boolean dropOther(int log2) {
        for (int other = LARGEST_LOG2; other >= SMALLEST_LOG2; other--) {
            ByteBuffer dropped = null;
            if (other != log2) {
                synchronized (idle[other]) {
                    dropped = idle[other].pollFirst();
                }
            }
            if (dropped != null) {
                idleBytes.getAndAdd(-dropped.capacity());
                return true;
            }
        }
        return false;
    }

    /** Leaves all that are idle to the collector. */
    void releaseIdle() {
        for (ArrayDeque<ByteBuffer> size : idle) {
            if (size != null) {
                synchronized (size) {
                    for (ByteBuffer buffer : size) {
                        idleBytes.getAndAdd(-buffer.capacity());
                    }
                    size.clear();
                }
            }
        }
    }

    /** Bytes of those that are idle. */
    long idleBytes() {
        return idleBytes.get();
    }

    private static int log2(int bytes) {
        return Math.max(32 - Integer.numberOfLeadingZeros(Math.max(bytes, 1) - 1), SMALLEST_LOG2);
    }
}
