// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import org.dmera.core.format.ArrayBlock;

/**
 * A bitset: an array of 64-bit words, of which one is cached.
 *
 * <p>Bits are set in the cached word; it goes into the array when another word is wanted, and by {@link #flush}. So the
 * order in which bits are set shows in the order in which array blocks are shadowed, as in the kernel.
 */
public final class DiskBitset {
    private static final long NONE = -1;

    private final DiskArray words;
    private long cachedIndex = NONE;
    private long cachedBits;
    private boolean cachedDirty;

    /** The bitset at {@code root} (0: none yet). Nothing is read. */
    public DiskBitset(TransactionManager tm, String label, long root) {
        this.words = new DiskArray(tm, ArrayBlock.WORD_BYTES, label, root);
    }

    /** Words that {@code nrBits} bits take. */
    public static long words(long nrBits) {
        return (nrBits + 63) / 64;
    }

    public long root() {
        return words.root();
    }

    /** Points this at another bitset, with nothing cached. */
    public void root(long root) {
        words.root(root);
        cachedIndex = NONE;
        cachedDirty = false;
    }

    /** Makes a new bitset of {@code nrBits} clear bits. */
    public void create(long nrBits) throws IOException {
        words.create();
        words.resize(0, words(nrBits), 0);
        cachedIndex = NONE;
        cachedDirty = false;
    }

    /** Drops one reference to the bitset at {@code root}, and with the last one its blocks. */
    public void delete(long root) throws IOException {
        words.delete(root);
    }

    /** Sets a bit, which the bitset has to have. */
    public void set(long bit) throws IOException {
        long index = bit >>> 6;
        if (index != cachedIndex) {
            flush();
            cachedBits = words.getLong(index);
            cachedIndex = index;
        }
        cachedBits |= 1L << bit;
        cachedDirty = true;
    }

    /** Stores the cached word, if it has been changed. */
    public void flush() throws IOException {
        if (cachedDirty) {
            words.setLong(cachedIndex, cachedBits);
            cachedIndex = NONE;
            cachedDirty = false;
        }
    }

    /** Word {@code index}, as stored. */
    public long word(long index) throws IOException {
        return index == cachedIndex ? cachedBits : words.getLong(index);
    }

    /** Copies {@code count} words from {@code first} on into {@code out}, the cached one as it is in memory. */
    public void readWords(long first, int count, long[] out, int at) throws IOException {
        words.readLongs(first, count, out, at);
        if (cachedIndex >= first && cachedIndex < first + count) {
            out[at + (int) (cachedIndex - first)] = cachedBits;
        }
    }
}
