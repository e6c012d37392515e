// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.nio.ByteBuffer;
import java.util.BitSet;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;

/** The counts as the space map's bitmaps store them, as far as the bitmaps can be read; 1 MiB at most. */
public final class StoredCounts {
    /** See {@link #judgeNrFree}. */
    private static final int EXCESS_OF_FORMATTING = 2;

    /** The lower bit of each pair. */
    private static final long LOW_BITS = 0x5555555555555555L;

    private final ByteBuffer[] bitmaps;
    private final BitmapBlock bitmap = new BitmapBlock();
    private boolean isCutOff;

    public StoredCounts(int nrBitmaps) {
        bitmaps = new ByteBuffer[nrBitmaps];
    }

    /**
     * Whether all bitmaps could be read, and index and superblock have the same numbers. Then they are what the kernel wrote
     * last, and what they count as used has been in use; a damaged bitmap is no evidence of anything.
     *
     * @param nrBlocks what the map is for
     */
    public boolean agreeWith(IndexBlock index, Superblock superblock, int nrBlocks) {
        for (int i = 0; i < bitmaps.length; i++) {
            if (bitmaps[i] == null || judgeNrFree(i, index.nrFree(i), nrBlocks) == DamageKind.WRONG_NR_FREE) {
                return false;
            }
        }
        return allocated() == superblock.spaceMapNrAllocated();
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
     * Judges how many entries of bitmap {@code index}, which could be read, are 0 by its index: null when it is just as many.
     *
     * <p>The first commit after formatting, not formatting itself, takes the two empty trees into the index. The era_restore of
     * thin-provisioning-tools 0.9 counts as free what the device has, the kernel what the bitmap has. Either difference stays, and
     * does no harm: the bitmap decides what is free.
     *
     * @param nrBlocks what the map is for
     */
    public DamageKind judgeNrFree(int index, int nrFree, int nrBlocks) {
        int free = free(index);
        long stored = Integer.toUnsignedLong(nrFree);
        if (stored == free) {
            return null;
        }
        if (index == 0 && stored == free + EXCESS_OF_FORMATTING) {
            return DamageKind.NEVER_RESUMED;
        }
        return stored == free - pastEnd(index, nrBlocks) ? DamageKind.NR_FREE_OF_DEVICE : DamageKind.WRONG_NR_FREE;
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

    /** The blocks below {@code end} whose stored counts are known and not 0. */
    public BitSet used(int end) {
        BitSet used = new BitSet(end);
        for (int b = firstUsed(0, end); b < end; b = firstUsed(b + 1, end)) {
            used.set(b);
        }
        return used;
    }

    /**
     * The stored counts of 32 blocks from {@code first} (a multiple of 32) on, two bits each, the first lowest; 3, see the
     * ref-count tree, for all of them when their bitmap could not be read.
     */
    public long countsOf32(int first) {
        int index = first / BitmapBlock.ENTRIES;
        if (index >= bitmaps.length) {
            return 0;
        }
        long pairs = bitmaps[index] == null ? -1 : word(first);
        return (pairs & LOW_BITS) << 1 | pairs >>> 1 & LOW_BITS;
    }

    /** Whether the blocks of {@code used}, and no others, are counted, each once. */
    boolean areOneFor(BitSet used) {
        long[] words = used.toLongArray();
        if (words.length * Long.SIZE > bitmaps.length * BitmapBlock.ENTRIES + Long.SIZE) {
            return false;
        }
        for (int b = 0; b < bitmaps.length * BitmapBlock.ENTRIES; b += 32) {
            long bits = b / Long.SIZE < words.length ? words[b / Long.SIZE] >>> b & 0xFFFFFFFFL : 0;
            // Bit i goes to bit 2 i.
            bits = (bits | bits << 16) & 0x0000FFFF0000FFFFL;
            bits = (bits | bits << 8) & 0x00FF00FF00FF00FFL;
            bits = (bits | bits << 4) & 0x0F0F0F0F0F0F0F0FL;
            bits = (bits | bits << 2) & 0x3333333333333333L;
            bits = (bits | bits << 1) & LOW_BITS;
            if (countsOf32(b) != bits) {
                return false;
            }
        }
        return true;
    }

    /** 32 pairs of a bitmap that could be read: no 32 of them are in two bitmaps. */
    private long word(int first) {
        int entry = first % BitmapBlock.ENTRIES;
        return bitmaps[first / BitmapBlock.ENTRIES].getLong(BitmapBlock.COUNTS + entry / 32 * Long.BYTES);
    }

    /** The first block in {@code [begin, end)} whose stored count is known and not 0, or {@code end}. */
    public int firstUsed(int begin, int end) {
        for (int b = begin; b < end && b < bitmaps.length * BitmapBlock.ENTRIES; b = (b | 31) + 1) {
            long rest = bitmaps[b / BitmapBlock.ENTRIES] == null ? 0 : word(b) >>> b % 32 * 2;
            if (rest != 0) {
                return Math.min(end, b + Long.numberOfTrailingZeros(rest) / 2);
            }
        }
        return end;
    }
}
