// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.function.LongSupplier;
import org.dmera.core.linux.Errno;

/**
 * The memory that the marks of all era targets take: a bit for each block, and once more while a new era begins. It is
 * reserved when a table is loaded, where a refusal does no harm.
 */
final class MarksMemory {
    private static final int SETS = 2;
    private static final int BITS_PER_BYTE = 8;
    private static final long MB = 1_000_000;
    /** Of the heap, how much may be marks: the rest is for blocks of metadata and for requests. */
    private static final double MAX_SHARE = 0.75;

    private final long maxBytes;
    private final LongSupplier usedBytes;
    private long reservedBytes;

    /** Of this process's heap. */
    MarksMemory() {
        this(Runtime.getRuntime().maxMemory(), MarksMemory::usedOfHeap);
    }

    /** Of a heap that may grow to {@code maxBytes}, of which {@code usedBytes} are in use. */
    MarksMemory(long maxBytes, LongSupplier usedBytes) {
        this.maxBytes = maxBytes;
        this.usedBytes = usedBytes;
    }

    /**
     * Reserves what the marks of {@code nrBlocks} blocks need; returns how much that is, for {@link #release}.
     *
     * @throws TableException ENOMEM, with the figures
     */
    synchronized long reserve(long nrBlocks) throws TableException {
        long oneSet = nrBlocks / BITS_PER_BYTE;
        long needed = SETS * oneSet;
        long left = (long) (MAX_SHARE * maxBytes) - reservedBytes;
        if (oneSet > maxBytes / 100 && needed <= left && oneSet > free()) {
            // What looks used may be garbage.
            System.gc();
            left = Math.min(left, free());
        }
        if (needed > left) {
            throw new TableException(
                    "The marks of " + nrBlocks + " blocks need " + megabytes(needed) + " MB of memory; of the engine's "
                            + megabytes(maxBytes) + " MB, " + megabytes(Math.max(0, left))
                            + " are left for marks: use larger blocks, or give it more (-Xmx)",
                    Errno.ENOMEM.number());
        }
        reservedBytes += needed;
        return needed;
    }

    private long free() {
        return maxBytes - usedBytes.getAsLong();
    }

    private static long usedOfHeap() {
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    /** In whole megabytes, rounded up. */
    private static long megabytes(long bytes) {
        return (bytes + MB - 1) / MB;
    }

    synchronized void release(long bytes) {
        reservedBytes -= bytes;
    }
}
