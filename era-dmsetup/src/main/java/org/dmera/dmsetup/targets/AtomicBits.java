// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.concurrent.atomic.AtomicLongArray;

/** Bits that are set by many threads, each for good: who sees one sees what was done before it was set. */
final class AtomicBits {
    private final AtomicLongArray words;

    /** {@code count} bits, none of them set. */
    AtomicBits(long count) {
        words = new AtomicLongArray((int) ((count + 63) >>> 6));
    }

    boolean get(long index) {
        return (words.getAcquire((int) (index >>> 6)) & 1L << index) != 0;
    }

    void set(long index) {
        int word = (int) (index >>> 6);
        long old;
        do {
            old = words.get(word);
        } while (!words.compareAndSet(word, old, old | 1L << index));
    }
}
