// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.util.BitSet;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.read.StoredCounts;

/**
 * What is known of each metadata block: what the pass over the device saw, how many references the walks found, and
 * which walks have visited it. Four bytes a block, and two more while a snapshot is checked; a device has at most 4,161,600
 * blocks that count, so this stays below 24 MiB.
 */
public final class BlockUse {
    /** In use by the live trees. */
    public static final int LIVE = 1;
    /** In use by the trees of the held snapshot. */
    public static final int SNAPSHOT = 2;
    /** The space map's own blocks. */
    public static final int SPACE_MAP = 4;
    /** Used in two places that can't both be right. */
    static final int DOUBLY_USED = 8;
    /** Its damage has been reported. */
    static final int REPORTED = 16;

    /** Is no node of a tree with values of 8 bytes; of 12; of 4: whoever refers to it as such is wrong. */
    static final int NO_NODE_OF_8 = 32;

    static final int NO_NODE_OF_12 = 64;
    static final int NO_NODE_OF_4 = 128;

    /** Counts stop here; more than 2 can't come up in sound metadata. */
    public static final int MOST = 255;

    private final int size;
    private final short[] verdicts;
    private final byte[] references;
    private final byte[] marks;
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
        size = (int) Math.min(sizeBlocks, IndexBlock.MAX_METADATA_BLOCKS);
        verdicts = new short[size];
        references = new byte[size];
        marks = new byte[size];
    }

    /** A table that knows nothing but which blocks this one has found in two places. */
    public BlockUse withDoublyUsed() {
        BlockUse table = new BlockUse(size);
        System.arraycopy(verdicts, 0, table.verdicts, 0, size);
        for (int b = 0; b < size; b++) {
            table.marks[b] = (byte) (marks[b] & DOUBLY_USED);
        }
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
        return references[blockNr] & 0xFF;
    }

    public void addReference(long blockNr) {
        if (references[(int) blockNr] != (byte) MOST) {
            references[(int) blockNr]++;
        }
    }

    /**
     * Whether a block is in use and a reference to it is missing: the space map stores a higher count for it than walks have
     * found references. To be asked when all walks are done; where the map can't be read, no block is.
     */
    public boolean isUnclaimed(int blockNr, StoredCounts counts) {
        return counts.count(blockNr) > references(blockNr);
    }

    /** Whether {@code walk} (one of the marks) has come to the block. */
    public boolean isUsedBy(long blockNr, int walk) {
        return hasMark(blockNr, walk);
    }

    boolean hasMark(long blockNr, int mark) {
        return (marks[(int) blockNr] & mark) != 0;
    }

    void mark(long blockNr, int mark) {
        marks[(int) blockNr] |= (byte) mark;
    }

    /** From now on whoever leads to {@code blockNr} isn't believed. */
    public void distrust(int blockNr) {
        astray.set(blockNr);
        mark(blockNr, DOUBLY_USED);
    }

    /** From now on what {@code blockNr} holds isn't believed. */
    public void distrustContent(int blockNr) {
        outdated.set(blockNr);
    }

    /** Whether what the block holds isn't believed: it counts as unreadable. */
    boolean isOutdated(long blockNr) {
        return outdated.get((int) blockNr);
    }

    /** Why a block is marked as {@link #DOUBLY_USED}. */
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
        int before = marks[b] & (LIVE | SNAPSHOT | SPACE_MAP);
        marks[b] |= (byte) walk;
        if (places != null && before == 0) {
            places[b] = (short) place;
        }
        if (before == 0 || before == LIVE && walk == SNAPSHOT && places != null && places[b] == (short) place) {
            return true;
        }
        marks[b] |= DOUBLY_USED;
        return false;
    }
}
