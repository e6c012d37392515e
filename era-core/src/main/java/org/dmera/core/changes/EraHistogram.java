// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.changes;

/**
 * How many blocks were last written in each era. Eras are counted one by one while there are at most
 * {@value #MAX_BINS} of them, and in bins of equal width beyond that, so that memory stays the same.
 */
public final class EraHistogram implements LastWritten.Visitor {
    private static final int MAX_BINS = 1 << 20;

    private final long currentEra;
    private final long width;
    private final long[] counts;
    private long blocks;

    /** Eras are 0 (never written) to {@code currentEra}; a damaged value above it counts as the current era. */
    public EraHistogram(long currentEra) {
        this.currentEra = currentEra;
        width = currentEra / MAX_BINS + 1;
        counts = new long[(int) (currentEra / width) + 1];
    }

    @Override
    public void block(long block, long era) {
        counts[(int) (Math.min(era, currentEra) / width)]++;
        blocks++;
    }

    /** Bins, ascending; bin 0 begins with era 0. */
    public int bins() {
        return counts.length;
    }

    /** The first era of a bin. */
    public long firstEra(int bin) {
        return bin * width;
    }

    /** The last era of a bin. */
    public long lastEra(int bin) {
        return Math.min(currentEra, (bin + 1) * width - 1);
    }

    /** Blocks in a bin. */
    public long count(int bin) {
        return counts[bin];
    }

    /** All blocks. */
    public long blocks() {
        return blocks;
    }

    /** Blocks that were last written in an era from {@code firstEra} to {@code lastEra}, to whole bins. */
    public long count(long firstEra, long lastEra) {
        long sum = 0;
        for (int bin = (int) (firstEra / width); bin < counts.length && firstEra(bin) <= lastEra; bin++) {
            sum += counts[bin];
        }
        return sum;
    }
}
