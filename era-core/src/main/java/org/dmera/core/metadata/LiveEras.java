// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import org.dmera.core.format.Eras;
import org.dmera.core.persistent.DiskArray;
import org.dmera.core.persistent.DiskBitset;
import org.dmera.core.persistent.TransactionManager;

/**
 * When blocks were last written, read from live metadata: the era array and every writeset, the current one included; the
 * highest era counts, as {@link Eras#later} has it. A writeset under digestion stays in the tree until all of it is in the era
 * array, so nothing is missing meanwhile.
 */
final class LiveEras {
    private final WritesetTree writesets;
    private final DiskArray eraArray;
    private final DiskBitset current;
    private final DiskBitset archived;
    private long[] words = new long[0];

    LiveEras(TransactionManager tm, WritesetTree writesets, DiskArray eraArray, DiskBitset current) {
        this.writesets = writesets;
        this.eraArray = eraArray;
        this.current = current;
        this.archived = new DiskBitset(tm, "archived writeset", 0);
    }

    void read(long first, int count, int[] eras, int at, long currentEra, long currentNrBits) throws IOException {
        eraArray.readInts(first, count, eras, at);
        writesets.forEach((era, nrBits, root) -> {
            archived.root(root);
            overlay(archived, era, nrBits, first, count, eras, at);
        });
        if (current.root() != 0) {
            overlay(current, currentEra, currentNrBits, first, count, eras, at);
        }
    }

    private void overlay(DiskBitset bits, long era, long nrBits, long first, int count, int[] eras, int at)
            throws IOException {
        long end = Math.min(first + count, nrBits);
        if (first >= end) {
            return;
        }
        long firstWord = first >>> 6;
        int nrWords = (int) (DiskBitset.words(end) - firstWord);
        if (words.length < nrWords) {
            words = new long[nrWords];
        }
        bits.readWords(firstWord, nrWords, words, 0);
        for (int w = 0; w < nrWords; w++) {
            long word = words[w];
            while (word != 0) {
                long block = (firstWord + w << 6) + Long.numberOfTrailingZeros(word);
                word &= word - 1;
                if (block >= first && block < end) {
                    int place = at + (int) (block - first);
                    eras[place] = Eras.later(eras[place], (int) era);
                }
            }
        }
    }
}
