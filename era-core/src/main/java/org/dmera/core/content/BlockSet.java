// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.util.Objects;
import org.dmera.core.format.Limits;

/** A set of origin blocks: one bit each, at most 2^31 − 1 of them. */
public final class BlockSet {
    /** Receives ranges of blocks. */
    public interface RangeVisitor {
        /** Blocks {@code begin} to {@code endExclusive − 1}: never empty, ascending, never adjacent to the one before. */
        void range(long begin, long endExclusive) throws IOException;
    }

    private final long[] words;
    private final long nrBlocks;

    /**
     * An empty set over blocks 0 to {@code nrBlocks − 1}.
     *
     * @throws IllegalArgumentException unless {@code nrBlocks} is 0 to {@link Limits#MAX_ORIGIN_BLOCKS}
     */
    public BlockSet(long nrBlocks) {
        if (nrBlocks < 0 || nrBlocks > Limits.MAX_ORIGIN_BLOCKS) {
            throw new IllegalArgumentException(
                    "a set over " + nrBlocks + " blocks, expected 0 to " + Limits.MAX_ORIGIN_BLOCKS);
        }
        this.nrBlocks = nrBlocks;
        this.words = new long[(int) ((nrBlocks + 63) / 64)];
    }

    /** Blocks 0 to this − 1 can be members. */
    public long nrBlocks() {
        return nrBlocks;
    }

    /**
     * Whether {@code block} is a member.
     *
     * @throws IndexOutOfBoundsException when there can be no such member
     */
    public boolean contains(long block) {
        Objects.checkIndex(block, nrBlocks);
        return (words[(int) (block >>> 6)] >>> block & 1) != 0;
    }

    /** Whether any block from {@code begin} to below {@code end} is a member; blocks past the last are none. */
    public boolean containsAny(long begin, long end) {
        long last = Math.min(end, nrBlocks) - 1;
        if (begin > last) {
            return false;
        }
        int firstWord = (int) (begin >>> 6);
        int lastWord = (int) (last >>> 6);
        long fromBegin = -1L << begin;
        long toLast = -1L >>> ~last;
        if (firstWord == lastWord) {
            return (words[firstWord] & fromBegin & toLast) != 0;
        }
        if ((words[firstWord] & fromBegin) != 0 || (words[lastWord] & toLast) != 0) {
            return true;
        }
        for (int i = firstWord + 1; i < lastWord; i++) {
            if (words[i] != 0) {
                return true;
            }
        }
        return false;
    }

    /**
     * Makes {@code block} a member.
     *
     * @throws IndexOutOfBoundsException when it can't be one: nothing past the end is ever listed
     */
    public void add(long block) {
        Objects.checkIndex(block, nrBlocks);
        words[(int) (block >>> 6)] |= 1L << block;
    }

    /** Members. */
    public long count() {
        long count = 0;
        for (long word : words) {
            count += Long.bitCount(word);
        }
        return count;
    }

    /** Word {@code index}: blocks 64 × index (bit 0) to 64 × index + 63. */
    public long word(int index) {
        return words[index];
    }

    /** ceil({@link #nrBlocks} / 64). */
    public int wordCount() {
        return words.length;
    }

    void or(int index, long word) {
        words[index] |= word;
    }

    void andNot(int index, long word) {
        words[index] &= ~word;
    }

    /** The first member from {@code from} on, or {@link #nrBlocks}. */
    public long nextMember(long from) {
        return next(from, 0);
    }

    /** The first block from {@code from} on that is no member, or {@link #nrBlocks}. */
    public long nextNonMember(long from) {
        return next(from, -1L);
    }

    private long next(long from, long flip) {
        long block = from;
        while (block < nrBlocks) {
            long found = (words[(int) (block >>> 6)] ^ flip) & -1L << block;
            if (found != 0) {
                return Math.min(nrBlocks, (block & ~63L) + Long.numberOfTrailingZeros(found));
            }
            block = (block | 63) + 1;
        }
        return nrBlocks;
    }

    /** Visits the runs of members, each as long as it can be. */
    public void forEachRange(RangeVisitor visitor) throws IOException {
        for (long begin = nextMember(0); begin < nrBlocks; ) {
            long end = nextNonMember(begin);
            visitor.range(begin, end);
            begin = nextMember(end);
        }
    }
}
