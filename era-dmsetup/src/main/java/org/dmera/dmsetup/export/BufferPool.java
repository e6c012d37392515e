// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;

/**
 * Direct buffers for reuse, in sizes of powers of two. Direct memory is given back only when the collector happens to run,
 * so a client that connects and leaves ten thousand times must not cost a fresh buffer each time. They begin at a page: the
 * kernel copies aligned memory faster.
 */
final class BufferPool {
    private static final int SMALLEST_LOG2 = 12;
    private static final int LARGEST_LOG2 = 25;
    /** Bytes of idle buffers kept of each size, and at least one. */
    private static final long IDLE_BYTES = 16L << 20;

    private static final int PAGE_BYTES = 4096;

    private final ArrayDeque<ByteBuffer>[] idle;

    @SuppressWarnings({"unchecked", "rawtypes"})
    BufferPool() {
        idle = new ArrayDeque[LARGEST_LOG2 + 1];
        for (int i = SMALLEST_LOG2; i <= LARGEST_LOG2; i++) {
            idle[i] = new ArrayDeque<>();
        }
    }

    /** A buffer at position 0 whose limit is {@code bytes}, at most 32 MiB. */
    ByteBuffer take(int bytes) {
        int log2 = log2(bytes);
        ByteBuffer buffer;
        synchronized (idle[log2]) {
            buffer = idle[log2].pollLast();
        }
        if (buffer == null) {
            buffer = ByteBuffer.allocateDirect((1 << log2) + PAGE_BYTES)
                    .alignedSlice(PAGE_BYTES)
                    .slice(0, 1 << log2);
        }
        return buffer.clear().limit(bytes);
    }

    /** Gives back what {@link #take} gave. */
    void give(ByteBuffer buffer) {
        int log2 = log2(buffer.capacity());
        synchronized (idle[log2]) {
            if (idle[log2].isEmpty() || (long) idle[log2].size() << log2 < IDLE_BYTES) {
                idle[log2].addLast(buffer);
            }
        }
    }

    private static int log2(int bytes) {
        int log2 = 32 - Integer.numberOfLeadingZeros(Math.max(bytes, 1) - 1);
        if (log2 > LARGEST_LOG2) {
            throw new IllegalArgumentException("a buffer of " + bytes + " bytes");
        }
        return Math.max(log2, SMALLEST_LOG2);
    }
}
