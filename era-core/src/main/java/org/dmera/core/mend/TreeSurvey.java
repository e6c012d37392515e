// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.ArrayWalker;
import org.dmera.core.read.BlockVerdict;

/**
 * One walk of the trees of damaged metadata: up to which era writesets are lost, and which sizes and eras the content speaks
 * for.
 */
public final class TreeSurvey implements Walk.WritesetVisitor {
    /** Eras from here on are taken for damage: nobody changes eras two thousand million times. */
    public static final long IMPLAUSIBLE_ERA = 1L << 31;

    /** The kernel's shrink leaves one; many are many wrong keys. */
    private static final int MAX_EXTRA = 1 << 12;

    private final Superblock superblock;
    private final BlockReader reader;

    private long firstEra = Long.MAX_VALUE;
    private long previousEra = -1;
    private boolean anyWriteset;
    private long lostUpTo = -1;
    /** The highest era below that of a writeset of which there is none. */
    private long gapUpTo = -1;

    private boolean lostOpenEnd;
    private long highestInArray = -1;
    private ArrayWalker.Length eraArray;
    /** Array blocks past the end of their arrays: a wrong key may have brought them there. */
    private final List<Integer> extra = new ArrayList<>();

    private final BitSet goneEras = new BitSet();
    /** The array blocks that may have a leaf which doesn't lead to some others. */
    private final Map<Content, BitSet> unsure = new EnumMap<>(Content.class);

    TreeSurvey(Superblock superblock, BlockReader reader) {
        this.superblock = superblock;
        this.reader = reader;
    }

    /** Walks what the superblock leads to. */
    void run() {
        Walk.writesets(reader, superblock.writesetTreeRoot(), this);
        if (superblock.hasCurrentWriteset()) {
            long nrBits = superblock.currentWritesetNrBits();
            bitset(Structure.CURRENT_WRITESET, superblock.currentEra(), superblock.currentWritesetRoot(), nrBits);
        }
        TreeSpec spec = TreeSpec.live(Structure.ERA_ARRAY);
        long root = superblock.eraArrayRoot();
        eraArray = Walk.array(reader, spec, root, superblock.nrBlocks(), true, new Watch(Content.ERAS));
    }

    /** How many origin blocks the era array speaks for, at least those that the superblock speaks of. */
    public ArrayWalker.Length eraArray() {
        return eraArray;
    }

    /** The lowest era of a writeset that could be read, or the highest number when there is none. */
    public long firstWriteset() {
        return firstEra;
    }

    /** The highest era of an archived writeset that is plausible, or −1. */
    public long lastWriteset() {
        return previousEra;
    }

    /**
     * The least current era for which the highest plausible era in the era array can have been digested, if that is above
     * the superblock's, or −1.
     */
    public long leastCurrentEra() {
        return highestInArray < 0 ? -1 : highestInArray + (superblock.hasCurrentWriteset() ? 1 : 0);
    }

    /** Whether any writeset is there, or was. */
    public boolean anyWriteset() {
        return anyWriteset;
    }

    /** Whether the writesets follow each other without a gap, and end after the last that can have been archived. */
    public boolean areWritesetsAhead() {
        return gapUpTo < 0 && previousEra > superblock.lastArchived();
    }

    /**
     * The highest era of which a writeset is missing or unreadable as a whole, or −1.
     *
     * @param lastArchived the highest era of which there can be a writeset in the tree
     * @param isAllAccountedFor whether all that is in use is referred to, so that no writeset can have lost its reference
     */
    long lostUpTo(long lastArchived, boolean isAllAccountedFor) {
        long upTo = lostOpenEnd ? lastArchived : Math.min(lostUpTo, lastArchived);
        if (isAllAccountedFor) {
            // An era without a writeset has lost none.
            return upTo;
        }
        upTo = Math.max(upTo, Math.min(gapUpTo, lastArchived));
        // Digestion takes the lowest first: as long as any is left, the last is too.
        return anyWriteset && previousEra < lastArchived ? lastArchived : upTo;
    }

    @Override
    public void writeset(long era, long nrBits, long root, boolean counted) {
        anyWriteset = true;
        if (era < 0 || era >= IMPLAUSIBLE_ERA && era > superblock.currentEra()) {
            // Nothing shows which era this was.
            lostOpenEnd = true;
            return;
        }
        if (previousEra >= 0 && era != previousEra + 1) {
            gapUpTo = Math.max(gapUpTo, era - 1);
        }
        previousEra = era;
        firstEra = Math.min(firstEra, era);
        bitset(Structure.WRITESET, era, root, nrBits);
    }

    @Override
    public void lost(long from, long last) {
        anyWriteset = true;
        if (last < 0) {
            lostOpenEnd = true;
        } else {
            lostUpTo = Math.max(lostUpTo, last);
        }
    }

    /** The highest of the first {@code n} eras in an array block that is plausible, or 0. */
    public static long highestPlausible(ByteBuffer block, int n) {
        ArrayBlock array = new ArrayBlock().wrap(block, 0);
        long highest = 0;
        for (int i = 0; i < n; i++) {
            long era = Integer.toUnsignedLong(array.valueInt(i));
            highest = era < IMPLAUSIBLE_ERA ? Math.max(highest, era) : highest;
        }
        return highest;
    }

    private void bitset(Structure structure, long era, long root, long nrBits) {
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        Walk.array(reader, TreeSpec.live(structure, era), root, words, true, new Watch(Content.WORDS));
    }

    /** Array blocks that are there past the end of their arrays: the first of them. */
    List<Integer> extra() {
        return extra;
    }

    /** Whether a leaf that leads to array block {@code index} of an array with {@code content} fails to lead to others. */
    boolean isUnsure(Content content, long index) {
        return unsure.containsKey(content) && unsure.get(content).get((int) index);
    }

    /** Whether what is in array block {@code index} of the era array can't be relied on. */
    public boolean isGone(long index) {
        return goneEras.get((int) index);
    }

    /** Of an array: what is out of place; of the era array, also what is gone, and eras to come. */
    private final class Watch implements ArrayWalker.Visitor {
        private final Content content;
        private final ByteBuffer block = BlockReader.newBuffer();

        Watch(Content content) {
            this.content = content;
        }

        @Override
        public void strayed(long from, long to) {
            int inLeaf = BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES) - 1;
            unsure.computeIfAbsent(content, any -> new BitSet())
                    .set((int) Math.max(0, from - inLeaf), (int) to + inLeaf);
        }

        @Override
        public void gone(long from, long to) {
            if (content == Content.ERAS) {
                goneEras.set((int) from, (int) to);
            }
        }

        @Override
        public void extra(long index, long blockNr) {
            if (extra.size() < MAX_EXTRA) {
                extra.add((int) blockNr);
            }
        }

        @Override
        public void present(long index, long blockNr, int usable) {
            if (!BlockVerdict.isAboveCurrent(reader.verdict(blockNr)) || reader.tryRead(blockNr, block) != null) {
                return;
            }
            long highest = highestPlausible(block, usable);
            highestInArray = highest > superblock.lastArchived() ? Math.max(highestInArray, highest) : highestInArray;
        }
    }
}
