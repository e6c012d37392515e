// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import org.dmera.core.content.BlockSet;

/**
 * The members of a set of blocks as ranges of bytes, and everything from a given byte on, which is where an origin grew
 * since the increment's base.
 */
public final class ChangedRanges implements ByteRanges {
    private final BlockSet set;
    private final long blockSizeBytes;
    private final long sizeBytes;
    private final long allFromBlock;
    private final long nrBlocks;
    private long block;
    private long begin;
    private long end;

    /**
     * The ranges of a set of blocks.
     *
     * @param set its members count
     * @param blockSizeBytes of the era device
     * @param sizeBytes the origin's size, which cuts the last block
     * @param allFromBytes from here on everything counts; at least {@code sizeBytes} for nothing more than the set
     */
    @SuppressWarnings("exports") // for the programs of this project
    public ChangedRanges(BlockSet set, long blockSizeBytes, long sizeBytes, long allFromBytes) {
        this.set = set;
        this.blockSizeBytes = blockSizeBytes;
        this.sizeBytes = sizeBytes;
        this.nrBlocks = Math.min(set.nrBlocks(), (sizeBytes + blockSizeBytes - 1) / blockSizeBytes);
        this.allFromBlock = allFromBytes >= sizeBytes ? nrBlocks : allFromBytes / blockSizeBytes;
    }

    /** {@return how many bytes the ranges hold in all} */
    public long totalBytes() {
        long blocks = 0;
        boolean last = false;
        int words = (int) ((allFromBlock + 63) / 64);
        for (int i = 0; i < words; i++) {
            long word = set.word(i);
            if (i == words - 1 && allFromBlock % 64 != 0) {
                word &= (1L << allFromBlock) - 1;
            }
            blocks += Long.bitCount(word);
        }
        if (allFromBlock < nrBlocks) {
            blocks += nrBlocks - allFromBlock;
            last = true;
        } else if (nrBlocks > 0) {
            last = set.contains(nrBlocks - 1);
        }
        return blocks * blockSizeBytes - (last ? nrBlocks * blockSizeBytes - sizeBytes : 0);
    }

    @Override
    public boolean next() {
        block = firstFrom(block, true);
        if (block == nrBlocks) {
            return false;
        }
        begin = block * blockSizeBytes;
        block = firstFrom(block, false);
        end = Math.min(block * blockSizeBytes, sizeBytes);
        return true;
    }

    @Override
    public long beginBytes() {
        return begin;
    }

    @Override
    public long endBytes() {
        return end;
    }

    /** The first block from {@code from} on that counts, or that does not; {@code nrBlocks} when there is none. */
    private long firstFrom(long from, boolean counts) {
        long at = from;
        while (at < allFromBlock) {
            long word = set.word((int) (at >>> 6));
            long wanted = (counts ? word : ~word) & -1L << at;
            if (wanted != 0) {
                at = (at & ~63L) + Long.numberOfTrailingZeros(wanted);
                break;
            }
            at = (at | 63) + 1;
        }
        return at < allFromBlock ? at : counts ? Math.max(from, allFromBlock) : nrBlocks;
    }
}
