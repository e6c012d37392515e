// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import org.dmera.core.format.BitmapBlock;

/** The counts as the space map's bitmaps store them, as far as the bitmaps can be read; 1 MiB at most. */
public final class StoredCounts {
    /** Free blocks that the first index entry counts too many after formatting. */
    public static final int EXCESS_OF_FORMATTING = 2;

    private final ByteBuffer[] bitmaps;
    private final BitmapBlock bitmap = new BitmapBlock();
    private boolean isCutOff;

    public StoredCounts(int nrBitmaps) {
        bitmaps = new ByteBuffer[nrBitmaps];
    }

    /** The map is for more blocks than the device has left: what it counts past the end is out of reach. */
    public void cutOff() {
        isCutOff = true;
    }

    /** Whether parts that the map counts may lie past the device's end. */
    public boolean isCutOff() {
        return isCutOff;
    }

    /** Hands over the bitmap that covers {@code index × 16320} and on; the buffer is kept. */
    public void bitmap(int index, ByteBuffer block) {
        bitmaps[index] = block;
    }

    /** Entries of bitmap {@code index} that stand for no block, when the map is for {@code nrBlocks}. */
    public static int pastEnd(int index, int nrBlocks) {
        return (int) Math.max(0, (index + 1L) * BitmapBlock.ENTRIES - nrBlocks);
    }

    /**
     * Whether the index may have {@code nrFree} for bitmap {@code index}, in which {@code free} entries are 0: it should be
     * just as many, but formatting leaves two more, and thin-provisioning-tools 0.9 counts none past the device's end.
     */
    public static boolean isFreeCount(int index, int nrFree, int free, int nrBlocks) {
        return nrFree == free
                || index == 0 && nrFree == free + EXCESS_OF_FORMATTING
                || nrFree == free - pastEnd(index, nrBlocks);
    }

    /** Bitmaps that the map should have. */
    public int nrBitmaps() {
        return bitmaps.length;
    }

    /** The block of a bitmap, or null when it could not be read. */
    public ByteBuffer bitmap(int index) {
        return bitmaps[index];
    }

    /** The stored count of a block, 0 to 3, or −1 when its bitmap could not be read. */
    public int count(int blockNr) {
        int index = blockNr / BitmapBlock.ENTRIES;
        if (index >= bitmaps.length) {
            return 0;
        }
        return bitmaps[index] == null ? -1 : bitmap.wrap(bitmaps[index], 0).count(blockNr % BitmapBlock.ENTRIES);
    }

    /** Entries of bitmap {@code index}, which could be read, that are 0. */
    public int free(int index) {
        return bitmap.wrap(bitmaps[index], 0).countFree();
    }

    /** How many entries aren't 0, or −1 when not all bitmaps could be read. */
    public long allocated() {
        long allocated = 0;
        for (int i = 0; i < bitmaps.length; i++) {
            if (bitmaps[i] == null) {
                return -1;
            }
            allocated += BitmapBlock.ENTRIES - free(i);
        }
        return allocated;
    }

    /** The first block in {@code [begin, end)} whose stored count is known and not 0, or {@code end}. */
    public int firstUsed(int begin, int end) {
        int b = begin;
        while (b < end) {
            int index = b / BitmapBlock.ENTRIES;
            if (index >= bitmaps.length) {
                return end;
            }
            int stop = Math.min(end, (index + 1) * BitmapBlock.ENTRIES);
            ByteBuffer block = bitmaps[index];
            if (block == null) {
                b = stop;
                continue;
            }
            int entry = b - index * BitmapBlock.ENTRIES;
            int last = stop - index * BitmapBlock.ENTRIES;
            while (entry < last) {
                if ((entry & 31) == 0 && block.getLong(BitmapBlock.COUNTS + (entry >> 2)) == 0) {
                    entry += 32;
                } else if ((block.get(BitmapBlock.COUNTS + (entry >> 2)) >> ((entry & 3) * 2) & 3) != 0) {
                    return index * BitmapBlock.ENTRIES + entry;
                } else {
                    entry++;
                }
            }
            b = stop;
        }
        return end;
    }

    /** Whether any block in {@code [begin, end)} has a known count other than 0. */
    public boolean isAnyUsed(int begin, int end) {
        return firstUsed(begin, end) < end;
    }
}
