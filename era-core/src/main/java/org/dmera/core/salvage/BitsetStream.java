// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.function.LongFunction;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.format.ArrayBlock;

/**
 * Streams a salvaged bitset: what is lost of it comes out with every bit set, or with those that any part has that may
 * belong there.
 */
final class BitsetStream {
    private final BlockReader reader;
    private final ArrayMap map;
    private final long soundWords;
    private final long nrBits;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final LongFunction<long[]> lostWords;
    private long widened;

    /**
     * @param soundWords words that the bitset should have had
     * @param nrBits bits that come out; those past the sound words are lost
     * @param lostWords the words that array block N may have at most, if it is lost, or null for any
     */
    BitsetStream(BlockReader reader, ArrayMap map, long soundWords, long nrBits, LongFunction<long[]> lostWords) {
        this.lostWords = lostWords;
        this.reader = reader;
        this.map = map;
        this.soundWords = soundWords;
        this.nrBits = nrBits;
    }

    /** Bits that came out set because their words are lost. */
    long widened() {
        return widened;
    }

    void stream(MetadataVisitor visitor) throws IOException {
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        for (long first = 0; first < words; first += ArrayBlock.WORDS_PER_BLOCK) {
            int count = (int) Math.min(ArrayBlock.WORDS_PER_BLOCK, words - first);
            int usable = load(first / ArrayBlock.WORDS_PER_BLOCK, count);
            long index = first / ArrayBlock.WORDS_PER_BLOCK;
            long[] most = usable < count ? lostWords.apply(index) : null;
            for (int i = usable; i < count; i++) {
                boolean isSound = first + i < soundWords;
                block.putLong(ArrayBlock.VALUES + Long.BYTES * i, most != null && isSound ? most[i] : -1L);
            }
            if (usable < count) {
                widened += Math.min(nrBits, (first + count) * Long.SIZE) - (first + usable) * Long.SIZE;
            }
            visitor.words(first, block, ArrayBlock.VALUES, count);
        }
    }

    /** Reads array block {@code index}; returns how many of {@code count} words can be relied on. */
    private int load(long index, int count) {
        long sound = Math.max(0, Math.min(count, soundWords - index * ArrayBlock.WORDS_PER_BLOCK));
        return map.isGone(index) ? 0 : map.load(reader, index, (int) sound, block);
    }
}
