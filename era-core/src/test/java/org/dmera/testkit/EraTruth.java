// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.nio.ByteBuffer;
import org.dmera.core.content.MetadataVisitor;

/**
 * What metadata says in the end: for each origin block the latest era in which it was written. A visitor for content
 * that fits in memory.
 */
public final class EraTruth implements MetadataVisitor {
    private int[] latest = new int[0];
    private long dataBlockSizeSectors;
    private long currentEra;
    private long era;
    private long nrBits;

    /** The latest era (u32) of each origin block, 0 for never. */
    public int[] latest() {
        return latest;
    }

    public long dataBlockSizeSectors() {
        return dataBlockSizeSectors;
    }

    public long currentEra() {
        return currentEra;
    }

    /** Origin blocks whose mark {@code later} has lost: it knows an earlier era for them, or none. */
    public long lostIn(EraTruth later) {
        long lost = 0;
        for (int b = 0; b < latest.length; b++) {
            int theirs = b < later.latest.length ? later.latest[b] : 0;
            lost += Integer.compareUnsigned(theirs, latest[b]) < 0 ? 1 : 0;
        }
        return lost;
    }

    /**
     * Origin blocks that {@code later} reports as written later: that there is an era, among those that anybody can know, since
     * which they count as written and weren't. One that is later than the current era is as good as that.
     */
    public long widenedIn(EraTruth later) {
        long widened = 0;
        for (int b = 0; b < later.latest.length; b++) {
            int ours = b < latest.length ? latest[b] : 0;
            long theirs = Math.min(Integer.toUnsignedLong(later.latest[b]), currentEra);
            widened += theirs > Integer.toUnsignedLong(ours) ? 1 : 0;
        }
        return widened;
    }

    @Override
    public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) {
        this.dataBlockSizeSectors = dataBlockSizeSectors;
        this.latest = new int[Math.toIntExact(nrBlocks)];
        this.currentEra = currentEra;
    }

    @Override
    public void beginWriteset(long era, long nrBits) {
        this.era = era;
        this.nrBits = nrBits;
    }

    @Override
    public void words(long firstWord, ByteBuffer buffer, int offset, int count) {
        for (int w = 0; w < count; w++) {
            long word = buffer.getLong(offset + w * Long.BYTES);
            for (; word != 0; word &= word - 1) {
                long block = (firstWord + w) * Long.SIZE + Long.numberOfTrailingZeros(word);
                // The bits behind the last mean nothing.
                if (block < nrBits) {
                    raise(block, era);
                }
            }
        }
    }

    @Override
    public void endWriteset() {}

    @Override
    public void beginEraArray() {}

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) {
        for (int i = 0; i < count; i++) {
            raise(firstBlock + i, Integer.toUnsignedLong(buffer.getInt(offset + i * Integer.BYTES)));
        }
    }

    @Override
    public void endEraArray() {}

    @Override
    public void end() {}

    private void raise(long block, long to) {
        if (block < latest.length && Integer.compareUnsigned(latest[(int) block], (int) to) < 0) {
            latest[(int) block] = (int) to;
        }
    }
}
