// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.Eras;
import org.dmera.core.read.BlockVerdict;

/** The marks of array blocks whose place isn't known: wherever one belongs, all of its kind together have its marks. */
final class UnattachedBlocks {
    private int[] eras;
    private long[] words;
    private int nrEras;

    /** Reads those of {@code blocks} that are array blocks. */
    UnattachedBlocks(BlockReader reader, Iterable<Integer> blocks) {
        ByteBuffer block = BlockReader.newBuffer();
        ArrayBlock array = new ArrayBlock();
        for (int b : blocks) {
            Content content = Content.of(reader.code(b));
            if (content == null || reader.tryRead(b, block) != null) {
                continue;
            }
            array.wrap(block, 0);
            int n = BlockVerdict.nrEntries(reader.verdict(b));
            if (content == Content.ERAS) {
                eras = eras == null ? new int[ArrayBlock.ERAS_PER_BLOCK] : eras;
                nrEras += n;
            } else {
                words = words == null ? new long[ArrayBlock.WORDS_PER_BLOCK] : words;
            }
            for (int i = 0; i < n; i++) {
                if (content == Content.ERAS) {
                    eras[i] = Eras.later(eras[i], array.valueInt(i));
                } else {
                    words[i] |= array.valueLong(i);
                }
            }
        }
    }

    boolean isEmpty() {
        return eras == null && words == null;
    }

    /** How many eras are in them, all together. */
    int nrEras() {
        return nrEras;
    }

    /** Raises {@code latest} from {@code from}, where an array block of eras begins, up to {@code to}; to {@code most} at most. */
    void raiseByEras(int[] latest, int from, int to, long most) {
        for (int i = from; eras != null && i < to; i++) {
            raise(latest, i, Math.min(most, Integer.toUnsignedLong(eras[(i - from) % eras.length])));
        }
    }

    /** Raises the first {@code count} of {@code latest}, where an array block of words begins, to {@code era} where marked. */
    void raiseByWords(int[] latest, int count, long era) {
        if (words != null) {
            raise(latest, words, count, era);
        }
    }

    /** The marks of all blocks of words together: a copy. */
    long[] words() {
        return words == null ? new long[ArrayBlock.WORDS_PER_BLOCK] : words.clone();
    }

    /** Raises the first {@code count} of {@code latest} to {@code era}, where a bit of {@code words} is set. */
    static void raise(int[] latest, long[] words, int count, long era) {
        for (int first = 0; first < count; first += Long.SIZE) {
            for (long word = words[first / Long.SIZE]; word != 0; word &= word - 1) {
                int i = first + Long.numberOfTrailingZeros(word);
                if (i < count) {
                    raise(latest, i, era);
                }
            }
        }
    }

    /** Raises one of {@code latest}. */
    static void raise(int[] latest, int i, long era) {
        latest[i] = Eras.later(latest[i], (int) era);
    }
}
