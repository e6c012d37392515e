// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * The blocks that are marked, durably, in one era: what the I/O path asks before every write. The worker's thread sets
 * bits after their commit; any thread may ask. It serves one era only: each has its own.
 */
public final class MarkedBlocks {
    private final AtomicLongArray words;
    private final long nrBlocks;

    /** None of {@code nrBlocks} blocks is marked. */
    public MarkedBlocks(long nrBlocks) {
        this.words = new AtomicLongArray((int) ((nrBlocks + 63) >>> 6));
        this.nrBlocks = nrBlocks;
    }

    /** Blocks that it has bits for. */
    public long nrBlocks() {
        return nrBlocks;
    }

    /** Whether a write to {@code block} needs no mark any more. A block that the era doesn't cover is not marked. */
    public boolean contains(long block) {
        return block >= 0 && block < nrBlocks && (words.getAcquire((int) (block >>> 6)) & 1L << block) != 0;
    }

    /** How many blocks are marked. */
    public long count() {
        long count = 0;
        for (int i = 0; i < words.length(); i++) {
            count += Long.bitCount(words.getAcquire(i));
        }
        return count;
    }

    void add(long block) {
        int word = (int) (block >>> 6);
        words.setRelease(word, words.getPlain(word) | 1L << block);
    }
}
