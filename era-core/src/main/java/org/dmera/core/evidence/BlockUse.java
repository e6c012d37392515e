// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.util.BitSet;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.read.StoredCounts;

/**
 * What is known of each metadata block: what the pass over the device saw, how many references the walks found, and
 * which walks have visited it. Four bytes a block, and two more while a snapshot is checked; a device has at most 4,161,600
 * blocks that count, so this stays below 24 MiB. What walks have found takes room only where they have been: a device without a
 * superblock holds thousands of states, and each of their walks has a table of its own.
 */
public final class BlockUse {
    /** In use by the live trees. */
    public static final int LIVE = 1;
    /** In use by the trees of the held snapshot. */
    public static final int SNAPSHOT = 2;
    /** The space map's own blocks. */
    public static final int SPACE_MAP = 4;
    /** Its damage has been reported. */
    static final int REPORTED = 16;

    /** Is no node of a tree with values of 8 bytes; of 12; of 4: whoever refers to it as such is wrong. */
    static final int NO_NODE_OF_8 = 32;

    static final int NO_NODE_OF_12 = 64;
    static final int NO_NODE_OF_4 = 128;

    /** Counts stop here; more than 2 can't come up in sound metadata. */
    public static final int MAX_REFERENCES = 255;

    private static final int PAGE_BITS = 8;
    private static final int MASK = (1 << PAGE_BITS) - 1;

    private final int size;
    private final short[] verdicts;
    /** By block its marks, and above them the references to it; a page of blocks is there once one of them has any. */
    private final short[][] found;
    /** Blocks that are used in two places which can't both be right. */
    private final BitSet doublyUsed = new BitSet();
    /**
     * Hash of the place where the live trees use a block, for comparison with the snapshot's. Sixteen bits will do: what
     * is shared in a wrong place is missed in the right one, and the counts show that too.
     */
    private short[] places;
    /** Blocks to which a reference must have gone astray; they count as doubly used. */
    private final BitSet astray = new BitSet();
    /** Blocks of which a write went elsewhere. */
    private final BitSet outdated = new BitSet();

    /** A table for a device of {@code sizeBlocks} blocks; those that no space map can reach are left out. */
    public BlockUse(long sizeBlocks) {
        this(new short[(int) Math.min(sizeBlocks, IndexBlock.MAX_METADATA_BLOCKS)]);
    }

    private BlockUse(short[] verdicts) {
        this.verdicts = verdicts;
        size = verdicts.length;
        found = new short[(size >> PAGE_BITS) + 1][];
    }

    /** A table for other walks, which knows what the blocks are, and which of them this one has found in two places. */
    public BlockUse withDoublyUsed() {
        BlockUse table = new BlockUse(verdicts);
        table.doublyUsed.or(doublyUsed);
        table.astray.or(astray);
        table.outdated.or(outdated);
        return table;
    }

    /** Blocks that can be in use at all. */
    public int size() {
        return size;
    }

    /** Whether a u64 from the device names a block that can be in use; block 0 is the superblock's. */
    public boolean isUsable(long blockNr) {
        return blockNr > 0 && blockNr < size;
    }

    public short verdict(long blockNr) {
        return verdicts[(int) blockNr];
    }

    public void verdict(long blockNr, short what) {
        verdicts[(int) blockNr] = what;
    }

    public int references(int blockNr) {
        return found(blockNr) >> Byte.SIZE;
    }

    public void addReference(long blockNr) {
        short[] page = page(blockNr);
        int at = (int) blockNr & MASK;
        if ((page[at] & 0xFFFF) >> Byte.SIZE < MAX_REFERENCES) {
            page[at] = (short) (page[at] + (1 << Byte.SIZE));
        }
    }

    private int found(long blockNr) {
        short[] page = found[(int) blockNr >> PAGE_BITS];
        return page == null ? 0 : page[(int) blockNr & MASK] & 0xFFFF;
    }

    private short[] page(long blockNr) {
        int at = (int) blockNr >> PAGE_BITS;
        if (found[at] == null) {
            found[at] = new short[1 << PAGE_BITS];
        }
        return found[at];
    }

    /**
     * Whether a block is in use and a reference to it is missing: the space map stores a higher count for it than walks have
     * found references. To be asked when all walks are done; where the map can't be read, no block is.
     */
    public boolean isUnclaimed(int blockNr, StoredCounts counts) {
        return counts.count(blockNr) > references(blockNr);
    }

    /**
     * The first block from {@code from} on whose bitmap doesn't store as many references to it as walks have found, or stores no
     * number; {@link #size} when there is none.
     */
    public int firstOther(int from, StoredCounts counts) {
        for (int b = from, end; b < size; b = end) {
            end = Math.min(size, (b | 31) + 1);
            long stored = counts.countsOf32(b & ~31) >>> b % 32 * 2;
            short[] page = found[b >> PAGE_BITS];
            for (int i = b; i < end && (stored != 0 || page != null); i++, stored >>>= 2) {
                int references = page == null ? 0 : (page[i & MASK] & 0xFFFF) >> Byte.SIZE;
                if ((stored & 3) != references || references == BitmapBlock.SEE_TREE) {
                    return i;
                }
            }
        }
        return size;
    }

    /** Whether the block has any of the marks {@link #LIVE}, {@link #SNAPSHOT}, {@link #SPACE_MAP}. */
    public boolean hasMark(long blockNr, int mark) {
        return (found(blockNr) & mark) != 0;
    }

    void mark(long blockNr, int mark) {
        page(blockNr)[(int) blockNr & MASK] |= (short) mark;
    }

    boolean isDoublyUsed(long blockNr) {
        return doublyUsed.get((int) blockNr);
    }

    void markDoublyUsed(long blockNr) {
        doublyUsed.set((int) blockNr);
    }

    /** From now on whoever leads to {@code blockNr} isn't believed. */
    public void distrust(int blockNr) {
        astray.set(blockNr);
        markDoublyUsed(blockNr);
    }

    /** From now on what {@code blockNr} holds isn't believed. */
    public void distrustContent(int blockNr) {
        outdated.set(blockNr);
    }

    /** Whether what the block holds isn't believed: it counts as unreadable. */
    boolean isOutdated(long blockNr) {
        return outdated.get((int) blockNr);
    }

    /** Why a block {@link #isDoublyUsed}. */
    String whyDoubted(long blockNr) {
        return astray.get((int) blockNr)
                ? "the space map counts the block as free, and others as used that nothing leads to: it may be an older"
                        + " version of what belongs here"
                : "the block is in use in another place too";
    }

    /** From now on remember where blocks are used. */
    public void rememberPlaces() {
        places = new short[size];
    }

    /**
     * Notes that {@code walk} (one of the marks) found the block at {@code place}; returns whether that fits with
     * those that found it before. The live trees and the snapshot may share a block, in the same place of both; nobody else may.
     */
    public boolean use(long blockNr, int walk, int place) {
        int b = (int) blockNr;
        short[] page = page(b);
        int before = page[b & MASK] & (LIVE | SNAPSHOT | SPACE_MAP);
        page[b & MASK] |= (short) walk;
        if (places != null && before == 0) {
            places[b] = (short) place;
        }
        if (before == 0 || before == LIVE && walk == SNAPSHOT && places != null && places[b] == (short) place) {
            return true;
        }
        markDoublyUsed(b);
        return false;
    }
}
