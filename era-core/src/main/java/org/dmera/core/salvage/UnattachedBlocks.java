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

    /** Raises {@code window} from {@code from}, where an array block of eras begins, up to {@code to}. */
    void raiseByEras(EraWindow window, int from, int to) {
        for (int i = from; eras != null && i < to; i++) {
            window.raise(i, Math.min(window.most, Integer.toUnsignedLong(eras[(i - from) % eras.length])));
        }
    }

    /** Raises {@code window} where marked, by bitsets of which nothing shows the era. */
    void raiseByWords(EraWindow window) {
        for (int i = 0; words != null && i < window.count; i += Long.SIZE) {
            window.raise(i, window.count, words[i / Long.SIZE], window.most);
        }
    }
}
