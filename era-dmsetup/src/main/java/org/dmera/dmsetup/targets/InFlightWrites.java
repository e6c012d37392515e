// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * The writes that are on their way to the origin, so that whoever begins a new era can find those that were let go by the
 * marks of the old one.
 *
 * <p>A write takes a slot, which is a full fence, <em>before</em> it looks whether its blocks are marked; whoever begins an
 * era publishes the new, empty marks <em>before</em> looking at the slots. So either the write sees the new marks, or it
 * is seen. No lock, no allocation, no thread registers itself: a slot is one long that holds a range of blocks.
 */
final class InFlightWrites {
    /** More than there are threads that write at once; a power of two. One that finds none free looks until there is one. */
    private static final int SLOTS = 1024;
    /** Longs between two slots: a cache line. */
    private static final int STRIDE = 8;

    private static final int BLOCK_BITS = 31;
    private static final long BLOCK_MASK = (1L << BLOCK_BITS) - 1;
    private static final long TAKEN = 1L << 2 * BLOCK_BITS;

    private final AtomicLongArray slots = new AtomicLongArray(SLOTS * STRIDE);

    /** Takes a slot for a write of blocks {@code first} to {@code last}; the answer is for {@link #exit}. */
    @SuppressWarnings("deprecation") // Thread.threadId() came with Java 19
    int enter(long first, long last) {
        long range = TAKEN | first << BLOCK_BITS | last;
        int slot = (int) Thread.currentThread().getId() & SLOTS - 1;
        while (!slots.compareAndSet(slot * STRIDE, 0, range)) {
            slot = slot + 1 & SLOTS - 1;
        }
        return slot;
    }

    /** The write is on the origin, or has given up. */
    void exit(int slot) {
        slots.setRelease(slot * STRIDE, 0);
    }

    /** Is told of ranges of blocks. */
    interface Ranges {
        void range(long first, long last);
    }

    /** Visits the writes that are under way now. */
    void forEach(Ranges visitor) {
        for (int i = 0; i < SLOTS; i++) {
            long range = slots.get(i * STRIDE);
            if (range != 0) {
                visitor.range(range >>> BLOCK_BITS & BLOCK_MASK, range & BLOCK_MASK);
            }
        }
    }
}
