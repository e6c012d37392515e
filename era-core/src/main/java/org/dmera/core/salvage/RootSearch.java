// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.DeviceScan;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.StoredCounts;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockVerdict;

/**
 * Finds the states of the metadata that are left when the superblock is lost.
 *
 * <p>All blocks are looked at. Each space map index with its bitmaps stands for one state: the last one, and as a rule the
 * one before, which nothing has overwritten yet, and more. {@link StateProbe} sorts out those that have been overwritten;
 * the last state is among the others, unless its index or its bitmap is broken too. Nothing shows which of them is the last;
 * {@link StateMerge} needs no answer.
 */
final class RootSearch {
    /** Where the state is to which the lost superblock led. */
    enum Last {
        /** It is one of the states. */
        FOUND,
        /**
         * It may be one of them. If it isn't, the one before it is, and all blocks that it wrote can be read but one of its
         * space map: the last of the states has the bitsets that it may have written.
         */
        NEAR,
        /** It may not be among them. */
        LOST
    }

    private final BlockDevice device;
    private final BitSet watched;
    private final BlockUse table;
    private final BlockReader reader;
    private final StateProbe probe;
    private final ByteBuffer block = BlockReader.newBuffer();

    private final List<RootCandidate> states = new ArrayList<>();

    private Last last;
    private int highestSealed;
    /** Bitmaps of states that were found. */
    private final BitSet known = new BitSet();

    private final BitSet usedInAny = new BitSet();
    /** Blocks that have been written and can't be read any more. */
    private final BitSet broken = new BitSet();
    /** Those of them that an index leads to. */
    private final BitSet lostBitmaps = new BitSet();
    /** How many broken blocks a state that was found doesn't use, at most. */
    private int mostUnused;
    /** Used in each state that doesn't use all broken blocks; null when there is none such. */
    private BitSet usedInAll;

    private boolean areAllCovered = true;

    private RootSearch(BlockDevice device, BitSet watched) {
        this.watched = watched;
        this.device = device;
        this.table = new BlockUse(device.sizeBlocks());
        this.reader = BlockReader.quiet(device, table);
        this.probe = new StateProbe(reader);
    }

    /**
     * Looks at the whole device.
     *
     * @param watched blocks of which each state is to record whether it uses them
     */
    static RootSearch of(BlockDevice device, BitSet watched) {
        RootSearch search = new RootSearch(device, watched);
        search.run();
        return search;
    }

    private void run() {
        DeviceScan.readAll(device, table);
        highestSealed = highestSealed();
        findBroken();
        BitSet trees = treeBlocks();
        for (int b = 1; b < table.size(); b++) {
            if (reader.code(b) == BlockVerdict.INDEX) {
                lookAt(StateMap.under(reader, b), trees);
            }
        }
        if (table.size() <= BitmapBlock.ENTRIES) {
            for (int b = 1; b < table.size(); b++) {
                if (reader.code(b) == BlockVerdict.BITMAP && !known.get(b)) {
                    lookAt(StateMap.withoutIndex(reader, b), trees);
                }
            }
        }
        last = whereTheLastIs();
        if (last == Last.NEAR) {
            states.add(bitsetsNotShared());
        }
    }

    /** Those that have not been overwritten, in the order of their index blocks, which means nothing. */
    List<RootCandidate> states() {
        return states;
    }

    /** Where the last state is. */
    Last last() {
        return last;
    }

    /** Whether any block of the device is one of such metadata. */
    boolean isAnythingThere() {
        return highestSealed > 0;
    }

    /** What was seen of each block. */
    BlockUse table() {
        return table;
    }

    /**
     * Whether the last state is among those that were found. If it isn't, its index or a bitmap is broken, and the state
     * before it, which uses neither, is among them. All blocks up to the highest sealed one have been written and were sealed
     * then, for they are allocated in sequence.
     */
    private Last whereTheLastIs() {
        if (states.isEmpty() || isDeviceCutOff()) {
            return Last.LOST;
        }
        if (areAllCovered && lostBitmaps.isEmpty()) {
            // No block is left that a later state might have written beside its space map.
            return Last.FOUND;
        }
        // The index is what a commit takes last: it may lie just above the highest sealed block, if that isn't one.
        boolean isIndexAbove = reader.code(highestSealed) != BlockVerdict.INDEX && highestSealed >= usedInAny.length();
        if (mostUnused > 1 || mostUnused == 1 && isIndexAbove) {
            return Last.LOST;
        }
        // With more than one bitmap, nothing shows which of them were the last state's if its index is broken.
        boolean isMapLost = !lostBitmaps.isEmpty() || table.size() > BitmapBlock.ENTRIES;
        return mostUnused == 1 && isMapLost ? Last.NEAR : Last.FOUND;
    }

    /** Whether anything leads past the end of the device, or is counted there: what is out of reach may be the last state. */
    private boolean isDeviceCutOff() {
        BTreeNode node = new BTreeNode();
        for (int b = 1; b < table.size(); b++) {
            int code = reader.code(b);
            boolean leadsOn = code == BlockVerdict.NODE || code == BlockVerdict.INDEX || code == BlockVerdict.BITMAP;
            if (!leadsOn || reader.tryRead(b, block) != null) {
                continue;
            }
            if (code == BlockVerdict.NODE) {
                node.wrap(block, 0);
                boolean isOfBlocks =
                        node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES) || node.hasSaneShape(WritesetValue.BYTES);
                for (int i = 0; isOfBlocks && i < node.nrEntries(); i++) {
                    if (isPastEnd(block.getLong(node.valueOffset(i) + node.valueSize() - Long.BYTES))) {
                        return true;
                    }
                }
            } else if (code == BlockVerdict.INDEX) {
                IndexBlock index = new IndexBlock().wrap(block, 0);
                for (int i = 0; i < IndexBlock.ENTRIES; i++) {
                    if (isPastEnd(index.bitmapBlock(i))) {
                        return true;
                    }
                }
            } else if (table.size() < BitmapBlock.ENTRIES) {
                BitmapBlock bitmap = new BitmapBlock().wrap(block, 0);
                for (int i = table.size(); i < BitmapBlock.ENTRIES; i++) {
                    if (bitmap.count(i) != 0) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    private boolean isPastEnd(long blockNr) {
        return blockNr >= table.size() && blockNr < IndexBlock.MAX_METADATA_BLOCKS;
    }

    private void findBroken() {
        for (int b = 1; b < highestSealed; b++) {
            if (reader.code(b) <= BlockVerdict.MISPLACED) {
                broken.set(b);
            }
        }
        int nrBitmaps = (table.size() + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES;
        for (int b = 1; b < table.size(); b++) {
            if (reader.code(b) == BlockVerdict.INDEX && reader.tryRead(b, block) == null) {
                IndexBlock index = new IndexBlock().wrap(block, 0);
                for (int i = 0; i < nrBitmaps; i++) {
                    long bitmap = index.bitmapBlock(i);
                    if (table.isUsable(bitmap) && reader.code(bitmap) <= BlockVerdict.MISPLACED) {
                        lostBitmaps.set((int) bitmap);
                    }
                }
            }
        }
        broken.or(lostBitmaps);
    }

    private int highestSealed() {
        int highest = table.size() - 1;
        while (highest > 0 && reader.code(highest) <= BlockVerdict.MISPLACED) {
            highest--;
        }
        return Math.max(0, highest);
    }

    /** Blocks that every commit which changes anything writes some of. */
    private BitSet treeBlocks() {
        BitSet trees = new BitSet(table.size());
        for (int b = 1; b < table.size(); b++) {
            switch (reader.code(b)) {
                case BlockVerdict.SUPERBLOCK,
                        BlockVerdict.NODE,
                        BlockVerdict.BAD_ARRAY,
                        BlockVerdict.ERAS,
                        BlockVerdict.WORDS -> trees.set(b);
                default -> {}
            }
        }
        return trees;
    }

    private void lookAt(StateMap map, BitSet trees) {
        RootCandidate state = map == null ? null : probe.probe(map);
        // A map without an index is a state's if the index is among what it counts and can't be read.
        if (state != null && (map.indexBlock() != 0 || state.unreadable > 0)) {
            known.or(map.bitmaps());
            add(state, map.counts(), trees);
        }
    }

    private void add(RootCandidate state, StoredCounts counts, BitSet trees) {
        states.add(state);
        BitSet used = counts.used(table.size());
        state.usedOfWatched = (BitSet) watched.clone();
        state.usedOfWatched.and(used);
        usedInAny.or(used);
        BitSet unused = (BitSet) broken.clone();
        unused.andNot(used);
        mostUnused = Math.max(mostUnused, unused.cardinality());
        if (!unused.isEmpty()) {
            if (usedInAll == null) {
                usedInAll = (BitSet) used.clone();
            } else {
                usedInAll.and(used);
            }
        }
        BitSet left = (BitSet) trees.clone();
        left.andNot(used);
        areAllCovered &= left.isEmpty();
    }

    /**
     * The bitsets that the last state, whose bitmap is lost, may have written: those that the state before it doesn't use. It
     * is one of the states that were found, nobody knows which.
     */
    private RootCandidate bitsetsNotShared() {
        RootCandidate fresh = new RootCandidate(0);
        for (int b = 1; b < table.size(); b++) {
            if (reader.code(b) == BlockVerdict.NODE && !usedInAll.get(b) && probe.isBitset(b)) {
                fresh.bitsets.add((long) b);
            }
        }
        return fresh;
    }
}
