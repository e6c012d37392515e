// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

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

    private long reservedBytes;

    /**
     * Reserves what the marks of {@code nrBlocks} blocks need; returns how much that is, for {@link #release}.
     *
     * @throws TableException ENOMEM, with the figures
     */
    synchronized long reserve(long nrBlocks) throws TableException {
        long oneSet = nrBlocks / BITS_PER_BYTE;
        long needed = SETS * oneSet;
        long max = Runtime.getRuntime().maxMemory();
        long left = (long) (MAX_SHARE * max) - reservedBytes;
        if (oneSet > max / 100 && needed <= left && oneSet > free(max)) {
            // What looks used may be garbage.
            System.gc();
            left = Math.min(left, free(max));
        }
        if (needed > left) {
            throw new TableException(
                    "The marks of " + nrBlocks + " blocks need " + megabytes(needed) + " MB of memory; of the engine's "
                            + megabytes(max) + " MB, " + megabytes(Math.max(0, left))
                            + " are left for marks: use larger blocks, or give it more (-Xmx)",
                    Errno.ENOMEM.number());
        }
        reservedBytes += needed;
        return needed;
    }

    private static long free(long max) {
        Runtime runtime = Runtime.getRuntime();
        return max - (runtime.totalMemory() - runtime.freeMemory());
    }

    /** In whole megabytes, rounded up. */
    private static long megabytes(long bytes) {
        return (bytes + MB - 1) / MB;
    }

    synchronized void release(long bytes) {
        reservedBytes -= bytes;
    }
}
