// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.ForwardingVisitor;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.Eras;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.BlockVerdict;

/**
 * Salvages metadata whose superblock is sealed and may be older than the rest: its last write was lost, or an old copy was
 * put back. What it leads to is taken as far as it can be read, and raised by what all states say that are left on the
 * device: marks are only ever added from one state to the next, so the older ones do no harm.
 */
public final class StaleSuperblock extends Salvage {
    private final KnownRootsSalvage trees;
    private final StateMerge states;

    private StaleSuperblock(KnownRootsSalvage trees, StateMerge states) {
        super(trees.remarks);
        this.trees = trees;
        this.states = states;
        damages.addAll(trees.damages);
        nrBlocks = trees.nrBlocks;
        currentEra = Math.max(trees.currentEra, states.currentEra);
        remarks.add(
                "the superblock may be older than the rest of the metadata: what other states say that are left on the"
                        + " device counts too");
    }

    /** Whether a state is on the device that was written after the one to which the superblock leads. */
    public static boolean isOlderThanAnother(BlockDevice device) throws IOException {
        ByteBuffer block = BlockReader.newBuffer();
        device.read(0, block);
        Superblock superblock = new Superblock().wrap(block.clear(), 0);
        KnownRootsSalvage trees = new KnownRootsSalvage(device, superblock, SalvageHints.NONE);
        return trees.isAnythingWrong() && new Others(device, superblock, trees).isOlder;
    }

    /**
     * What to salvage instead of {@code trees}, or {@code trees} if the superblock is the last one as far as can be seen.
     *
     * @throws UnknownEraException when there may be a later state, whose era isn't known
     */
    static Salvage orCurrent(BlockDevice device, Superblock superblock, KnownRootsSalvage trees, SalvageHints hints)
            throws IOException {
        if (!trees.isAnythingWrong()) {
            return trees;
        }
        Others others = new Others(device, superblock, trees);
        if (others.search.states.isEmpty() || !others.isOlder && (others.isOwnThere || !trees.isContradicted())) {
            return trees;
        }
        if (others.isOlder && hints.currentEra() < 0) {
            throw new UnknownEraException(
                    "the superblock is sealed and is of era " + superblock.currentEra()
                            + ", and a later state of the metadata may be on the device",
                    others.era);
        }
        long extent = hints.nrBlocks() >= 0 ? hints.nrBlocks() : others.extent;
        long era = Math.max(hints.currentEra(), others.era);
        if (era != superblock.currentEra()) {
            era = Math.max(era, trees.sizes.leastEra);
        }
        // Nothing speaks for a later state, and a lost write of block 0 may still have hidden one, which is one era
        // ahead at most.
        long openEra = hints.currentEra() >= 0 ? era : era + 1;
        long sectors = trees.sizes.dataBlockSizeSectors;
        return new StaleSuperblock(
                new KnownRootsSalvage(device, superblock, new SalvageHints(sectors, extent, era)),
                new StateMerge(device, others.search, new SalvageHints(sectors, extent, openEra)));
    }

    /** The states on the device, next to that of the superblock. */
    private static final class Others {
        final RootSearch search;
        /** The current era is certainly no lower. */
        long era;
        /** The origin had that many blocks in one of them. */
        long extent;
        /** Whether one of them is later than the superblock's. */
        boolean isOlder;

        boolean isOwnThere;

        /** Blocks that a later state has written over. */
        private final BitSet overtaken;
        /** Blocks that are wrong wherever they are used. */
        private final BitSet wrong;

        private final Superblock superblock;
        private final KnownRootsSalvage trees;
        private final StateOverlay.Walked walked;
        private final StateOverlay own;
        private final EraWindow here = new EraWindow();
        private final EraWindow there = new EraWindow();

        Others(BlockDevice device, Superblock superblock, KnownRootsSalvage trees) {
            this.superblock = superblock;
            this.trees = trees;
            overtaken = inPlace(device, trees.overwritten());
            wrong = trees.wrongBesideTheTrees();
            BitSet watched = (BitSet) overtaken.clone();
            watched.or(wrong);
            search = RootSearch.of(device, watched);
            walked = new StateOverlay.Walked(device, search.table);
            own = new StateOverlay(RootCandidate.of(superblock), walked);
            compare();
        }

        private void compare() {
            era = trees.sizes.eraWithoutHint;
            extent = trees.nrBlocks;
            for (RootCandidate state : search.states) {
                if (state.indexBlock == superblock.spaceMapBitmapRoot()) {
                    // Whole, and with other roots, it is another state that has come to the same block for its index.
                    boolean isAnothers = state.isWhole() && !state.hasRootsOf(superblock);
                    isOlder |= isAnothers && !trees.areFaultless() && !isEarlier(state);
                    isOwnThere |= !isAnothers;
                    if (!isAnothers) {
                        continue;
                    }
                }
                StateOverlay layer = new StateOverlay(state, walked);
                // A bitset that damage has left behind passes for an open writeset of the era after the last.
                boolean mayHaveNone =
                        !state.bitsets.isEmpty() && (state.broken > 0 || trees.countsAsUsed(state.bitsets.get(0)));
                if (!state.usedOfWatched.intersects(wrong)) {
                    era = Math.max(era, layer.leastEra() - (mayHaveNone ? 1 : 0));
                }
                extent = Math.max(extent, layer.extent);
                isOlder |= state.hasAllRoots
                        && state.usedOfWatched.intersects(overtaken)
                        && !state.hasRootsOf(superblock)
                        && !isEarlier(state);
            }
            // One lost write explains one such block; two of them are another state's.
            isOlder |= overtaken.cardinality() > 1;
            isOlder |= trees.areWritesetsAhead() || trees.sizes.isEraTooLow;
            // What a later state has written is sealed, for its place: a block that isn't is another kind of damage.
            boolean mayAllBeOld =
                    trees.areFaultless() && !trees.areBlocksBroken() && overtaken.equals(trees.overwritten());
            if (mayAllBeOld && isOwnThere && trees.first.isAnythingMissed()) {
                // The tree has lost entries. With another state all of it fits: it is that state's.
                mayAllBeOld = search.states.stream()
                        .anyMatch(state -> state.isWhole()
                                && !state.hasRootsOf(superblock)
                                && state.writesetTrees.contains(superblock.writesetTreeRoot()));
                isOlder |= mayAllBeOld;
            }
            // Of trees that are as they should be alone: what is wrong with others may be what makes them older.
            isOlder |= (mayAllBeOld || trees.areFaultless() && trees.first.hasMapOfAnother()) && isAnyLater();
            // A power cut between the commit of a new era and its superblock leaves a state that is one era ahead.
            isOlder |= era > trees.sizes.eraWithoutHint + (trees.isContradicted() || mayAllBeOld ? 0 : 1);
        }

        /**
         * Whether {@code state} was written before the superblock's, by the marks that one has and the other hasn't: they are only
         * ever added and raised. Parts that are lost say nothing, and the era of what {@code state} counts as open is written
         * nowhere. A block of the superblock's state that a later one has written over passes for what it was, in another's place
         * perhaps: so a mark counts that {@code state} hasn't in any such place.
         */
        private boolean isEarlier(RootCandidate state) {
            if (!state.isWhole()) {
                return false;
            }
            StateOverlay layer = new StateOverlay(state, walked);
            long end = Math.min(superblock.nrBlocks(), layer.extent);
            int[] anywhere = new int[ArrayBlock.ERAS_PER_BLOCK];
            for (long first = 0; first < layer.extent; first += EraWindow.SIZE) {
                read(layer, there, first, layer.extent, 0xffffffffL);
                for (int i = 0; i < there.count; i++) {
                    int at = i % anywhere.length;
                    anywhere[at] = Eras.later(anywhere[at], there.latest[i]);
                }
            }
            boolean hasMore = false;
            for (long first = 0; first < end; first += EraWindow.SIZE) {
                read(own, here, first, end, superblock.currentEra());
                read(layer, there, first, end, layer.leastEra());
                if (there.isLaterThan(here)) {
                    return false;
                }
                for (int i = 0; i < here.count; i++) {
                    hasMore |= !here.lost.get(i)
                            && !there.lost.get(i)
                            && Integer.compareUnsigned(here.latest[i], anywhere[i % anywhere.length]) > 0;
                }
            }
            return hasMore;
        }

        /** Whether any whole state has a mark that the superblock's hasn't. What one shares with another is compared once. */
        private boolean isAnyLater() {
            List<StateOverlay> layers = search.states.stream()
                    .filter(state -> state.isWhole() && !state.hasRootsOf(superblock))
                    .map(state -> new StateOverlay(state, walked))
                    .toList();
            for (long first = 0; first < superblock.nrBlocks(); first += EraWindow.SIZE) {
                read(own, here, first, superblock.nrBlocks(), superblock.currentEra());
                there.begin(first, here.count, 0);
                for (StateOverlay layer : layers) {
                    int before = there.nrOverlaid();
                    there.most = layer.leastEra();
                    layer.overlay(there, there.most);
                    boolean hasLost = !there.lost.isEmpty();
                    if ((hasLost || there.nrOverlaid() > before) && there.isLaterThan(here)) {
                        return true;
                    }
                    if (hasLost) {
                        // What this one has lost, others may know.
                        there.begin(first, here.count, 0);
                    }
                }
            }
            return false;
        }

        private static void read(StateOverlay from, EraWindow window, long first, long end, long openEra) {
            window.begin(first, (int) Math.min(EraWindow.SIZE, end - first), openEra);
            from.overlay(window, openEra);
        }
    }

    /**
     * Of {@code blocks}, those whose content is sealed for that very place. A state that counts one of them as used has written
     * it after the superblock's state did.
     */
    private static BitSet inPlace(BlockDevice device, BitSet blocks) {
        BlockReader reader = BlockReader.quiet(device, new BlockUse(device.sizeBlocks()));
        BitSet inPlace = new BitSet();
        blocks.stream().filter(b -> reader.code(b) > BlockVerdict.MISPLACED).forEach(inPlace::set);
        return inPlace;
    }

    @Override
    void send(MetadataVisitor visitor) throws IOException {
        trees.send(new Raised(visitor));
    }

    /** Passes everything on, and each era no lower than {@link #states} have it. */
    private final class Raised extends ForwardingVisitor {
        Raised(MetadataVisitor next) {
            super(next);
        }

        @Override
        public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException {
            super.superblock(dataBlockSizeSectors, nrBlocks, currentEra());
        }

        @Override
        public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
            int[] others = states.latest(firstBlock, nrBlocks());
            int from = (int) (firstBlock % EraWindow.SIZE);
            for (int i = 0; i < count; i++) {
                int at = offset + i * Integer.BYTES;
                buffer.putInt(at, Eras.later(buffer.getInt(at), others[from + i]));
            }
            super.eras(firstBlock, buffer, offset, count);
        }
    }
}
