// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

/**
 * How many blocks were last written in each era. Eras are counted one by one while there are at most a million of them.
 * Beyond that the newest half a million are, and the older ones in bins of equal width, so that memory stays the same.
 */
public final class EraHistogram implements LastWritten.Visitor {
    /** Eras that are counted one by one: people ask for the newest. Older ones share as many bins again. */
    private static final int SINGLES = 1 << 19;

    private final long currentEra;
    /** The first era with a bin of its own. */
    private final long firstSingle;
    /** The bins between that of era 0 and those of single eras, and the eras in each but the last of them. */
    private final int olderBins;

    private final long width;
    private final long[] counts;
    private long blocks;

    /** Eras are 0 (never written) to {@code currentEra}; a damaged value above it counts as the current era. */
    public EraHistogram(long currentEra) {
        this.currentEra = currentEra;
        firstSingle = currentEra <= 2 * SINGLES ? 1 : currentEra - SINGLES + 1;
        width = (firstSingle - 1 + SINGLES - 1) / SINGLES;
        olderBins = width == 0 ? 0 : (int) ((firstSingle - 1 + width - 1) / width);
        counts = new long[(int) (1 + olderBins + Math.max(0, currentEra - firstSingle + 1))];
    }

    private int binOf(long era) {
        if (era == 0) {
            return 0;
        }
        return era >= firstSingle ? (int) (1 + olderBins + era - firstSingle) : (int) (1 + (era - 1) / width);
    }

    @Override
    public void block(long block, long era) {
        counts[binOf(Math.min(era, currentEra))]++;
        blocks++;
    }

    /** Bins, ascending; bin 0 is era 0 alone. */
    public int bins() {
        return counts.length;
    }

    /** The first era of a bin. */
    public long firstEra(int bin) {
        if (bin == 0) {
            return 0;
        }
        return bin > olderBins ? firstSingle + bin - olderBins - 1 : 1 + (bin - 1) * width;
    }

    /** The last era of a bin. */
    public long lastEra(int bin) {
        return bin + 1 == counts.length ? currentEra : firstEra(bin + 1) - 1;
    }

    /** Blocks in a bin. */
    public long count(int bin) {
        return counts[bin];
    }

    /** Blocks that were never written. */
    public long never() {
        return counts[0];
    }

    /** All blocks. */
    public long blocks() {
        return blocks;
    }

    /** Blocks that were last written in an era from {@code firstEra} to {@code lastEra}, to whole bins. */
    public long count(long firstEra, long lastEra) {
        long sum = 0;
        for (int bin = binOf(Math.min(firstEra, currentEra)); bin < counts.length && firstEra(bin) <= lastEra; bin++) {
            sum += counts[bin];
        }
        return sum;
    }
}
