// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.DeviceScan;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.StoredCounts;

/**
 * Finds the states of the metadata that are left when the superblock is lost.
 *
 * <p>Each space map index with its bitmaps stands for one state. {@link StateProbe} sorts out those that have been overwritten;
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
    /** What was seen of each block. */
    final BlockUse table;

    private final BlockReader reader;
    private final StateProbe probe;
    private final ByteBuffer block = BlockReader.newBuffer();

    /** Those that have not been overwritten, in the order of their index blocks, which means nothing. */
    final List<RootCandidate> states = new ArrayList<>();

    /** Where the last state is. */
    Last last;
    /** Blocks of such metadata, of whichever state. */
    private final BitSet sealed = new BitSet();
    /** Those of them that every commit which changes anything writes some of. */
    private final BitSet trees = new BitSet();
    /** Bitmaps of states that were found. */
    private final BitSet known = new BitSet();

    private final BitSet usedInAny = new BitSet();
    /** Blocks that have been written and can't be read any more. */
    private final BitSet broken = new BitSet();
    /** Those of them that an index leads to. */
    private final BitSet lostBitmaps = new BitSet();
    /** How many broken blocks a state that was found doesn't use, at most. */
    private int mostUnused;
    /** Used in each state that doesn't use all broken blocks. */
    private final BitSet usedInAll = new BitSet();

    private boolean areAllCovered = true;

    private RootSearch(BlockDevice device, BitSet watched) {
        this.watched = watched;
        this.device = device;
        this.table = new BlockUse(device.sizeBlocks());
        this.reader = BlockReader.quiet(device, table);
        this.probe = new StateProbe(reader);
        usedInAll.set(0, table.size());
    }

    /** Looks at the whole device; each state records which of the {@code watched} blocks it uses. */
    static RootSearch of(BlockDevice device, BitSet watched) {
        RootSearch search = new RootSearch(device, watched);
        search.run();
        return search;
    }

    private void run() {
        DeviceScan.readAll(device, table);
        blocks(code -> code > BlockVerdict.MISPLACED).forEach(sealed::set);
        trees.or(sealed);
        blocks(code -> code == BlockVerdict.INDEX || code == BlockVerdict.BITMAP)
                .forEach(trees::clear);
        findBroken();
        blocks(code -> code == BlockVerdict.INDEX).forEach(b -> lookAt(StateMap.under(reader, b)));
        if (table.size() <= BitmapBlock.ENTRIES) {
            blocks(code -> code == BlockVerdict.BITMAP)
                    .filter(b -> !known.get(b))
                    .forEach(b -> lookAt(StateMap.withoutIndex(reader, b)));
        }
        last = whereTheLastIs();
        if (last == Last.NEAR) {
            states.add(bitsetsNotShared());
        }
    }

    /** Whether any block of the device is one of such metadata. */
    boolean isAnythingThere() {
        return !sealed.isEmpty();
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
        boolean isIndexAbove =
                reader.code(highestSealed()) != BlockVerdict.INDEX && highestSealed() >= usedInAny.length();
        if (mostUnused > 1 || mostUnused == 1 && isIndexAbove) {
            return Last.LOST;
        }
        // With more than one bitmap, nothing shows which of them were the last state's if its index is broken.
        boolean isMapLost = !lostBitmaps.isEmpty() || table.size() > BitmapBlock.ENTRIES;
        return mostUnused == 1 && isMapLost ? Last.NEAR : Last.FOUND;
    }

    /** Whether anything leads past the end of the device, or is counted there: what is out of reach may be the last state. */
    private boolean isDeviceCutOff() {
        return sealed.stream().anyMatch(b -> reader.tryRead(b, block) == null && leadsPastEnd(reader.code(b)));
    }

    private boolean leadsPastEnd(int code) {
        if (code == BlockVerdict.NODE) {
            BTreeNode node = new BTreeNode().wrap(block, 0);
            boolean isOfBlocks =
                    node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES) || node.hasSaneShape(WritesetValue.BYTES);
            return IntStream.range(0, isOfBlocks ? node.nrEntries() : 0).anyMatch(i -> isPastEnd(node.reference(i)));
        }
        if (code == BlockVerdict.INDEX) {
            IndexBlock index = new IndexBlock().wrap(block, 0);
            return IntStream.range(0, IndexBlock.ENTRIES).anyMatch(i -> isPastEnd(index.bitmapBlock(i)));
        }
        BitmapBlock bitmap = new BitmapBlock().wrap(block, 0);
        return code == BlockVerdict.BITMAP
                && IntStream.range(table.size(), BitmapBlock.ENTRIES).anyMatch(i -> bitmap.count(i) != 0);
    }

    private boolean isPastEnd(long blockNr) {
        return blockNr >= table.size() && blockNr < IndexBlock.MAX_METADATA_BLOCKS;
    }

    private void findBroken() {
        broken.set(1, Math.max(1, highestSealed()));
        broken.andNot(sealed);
        int nrBitmaps = (table.size() + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES;
        blocks(code -> code == BlockVerdict.INDEX)
                .filter(b -> reader.tryRead(b, block) == null)
                .forEach(b -> {
                    IndexBlock index = new IndexBlock().wrap(block, 0);
                    for (int i = 0; i < nrBitmaps; i++) {
                        long bitmap = index.bitmapBlock(i);
                        if (table.isUsable(bitmap) && reader.code(bitmap) <= BlockVerdict.MISPLACED) {
                            lostBitmaps.set((int) bitmap);
                        }
                    }
                });
        broken.or(lostBitmaps);
    }

    /** The blocks of which the {@link BlockVerdict} code is {@code wanted}. */
    private IntStream blocks(IntPredicate wanted) {
        return IntStream.range(1, table.size()).filter(b -> wanted.test(reader.code(b)));
    }

    private int highestSealed() {
        return Math.max(0, sealed.length() - 1);
    }

    private void lookAt(StateMap map) {
        RootCandidate state = map == null ? null : probe.probe(map);
        // A map without an index is a state's if the index is among what it counts and can't be read.
        if (state != null && (map.indexBlock() != 0 || state.unreadable > 0)) {
            known.or(map.bitmaps());
            add(state, map.counts());
        }
    }

    private void add(RootCandidate state, StoredCounts counts) {
        states.add(state);
        BitSet used = counts.used(table.size());
        state.usedOfWatched.or(watched);
        state.usedOfWatched.and(used);
        usedInAny.or(used);
        int unused = without(broken, used).cardinality();
        mostUnused = Math.max(mostUnused, unused);
        if (unused > 0) {
            usedInAll.and(used);
        }
        areAllCovered &= without(trees, used).isEmpty();
    }

    private static BitSet without(BitSet blocks, BitSet others) {
        BitSet rest = (BitSet) blocks.clone();
        rest.andNot(others);
        return rest;
    }

    /**
     * The bitsets that the last state, whose bitmap is lost, may have written: those that the state before it doesn't use. It
     * is one of the states that were found, nobody knows which.
     */
    private RootCandidate bitsetsNotShared() {
        RootCandidate fresh = new RootCandidate(0);
        blocks(code -> code == BlockVerdict.NODE)
                .filter(b -> !usedInAll.get(b) && probe.isBitset(b))
                .forEach(b -> fresh.bitsets.add((long) b));
        return fresh;
    }
}
