// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/**
 * First look at damaged metadata whose roots are known: which blocks can't be trusted because two places use them, up to
 * which era writesets are lost, and which sizes and eras the content speaks for.
 */
final class SalvageSurvey implements TreeWalk.Visitor {
    /** Eras from here on are taken for damage: nobody changes eras two thousand million times. */
    static final long INCREDIBLE_ERA = 1L << 31;

    private static final ArrayWalk.Visitor NOBODY = new ArrayWalk.Visitor() {
        @Override
        public void present(long index, long blockNr, int usable) {}

        @Override
        public void lost(long from, long to) {}
    };

    private final BlockDevice device;
    private final SalvagedRoots roots;
    private final BlockReader reader;
    private final BlockTable table;
    private final DamageLog log = new DamageLog();
    private final ByteBuffer[] treeBuffers = TreeWalk.newBuffers();
    private final ByteBuffer[] arrayBuffers = TreeWalk.newBuffers();

    private long firstEra = Long.MAX_VALUE;
    private long previousEra = -1;
    private boolean anyWriteset;
    private long lostUpTo = -1;
    /** The highest era below that of a writeset of which there is none. */
    private long gapUpTo = -1;

    private boolean isAllAccountedFor;
    private boolean lostOpenEnd;
    private long highestInArray = -1;
    private long reach;
    private boolean openEnded;
    private BlockTable trust;
    private BlockReader quiet;
    /** What the space map stores, if it doesn't contradict itself. */
    private StoredCounts stored;
    /** The same, if it doesn't contradict the trees either, or belongs to them all the same. */
    private StoredCounts sound;

    private boolean isOfThisState;

    private SalvageSurvey(BlockDevice device, SalvagedRoots roots, BlockTable table) {
        this.device = device;
        this.roots = roots;
        this.table = table;
        this.reader = new BlockReader(device, table, log, new Seen((int) roots.currentEra()));
    }

    /**
     * Surveys what {@code roots} lead to, and compares it with the space map of {@code superblock}. When blocks turn out to
     * be in use twice, once more, with neither user trusted: what the first of them led to has to be counted among the
     * lost. When trees lead to older versions of their parts, likewise.
     */
    static SalvageSurvey of(BlockDevice device, SalvagedRoots roots, Superblock superblock) {
        SalvageSurvey survey = new SalvageSurvey(device, roots, new BlockTable(device.sizeBlocks()));
        survey.run();
        if (survey.log.found(DamageKind.DOUBLY_USED) > 0) {
            survey = new SalvageSurvey(device, roots, survey.trust);
            survey.run();
        }
        survey.compareWith(superblock, device.sizeBlocks());
        if (survey.isLedAstray()) {
            survey = new SalvageSurvey(device, roots, survey.withoutBelief());
            survey.run();
            survey.compareWith(superblock, device.sizeBlocks());
        }
        return survey;
    }

    private void run() {
        TreeSpec tree = new TreeSpec(Structure.WRITESET_TREE, -1, WritesetValue.BYTES, BlockTable.LIVE);
        new TreeWalk(reader, tree, treeBuffers, this).walk(roots.writesetTreeRoot(), true);
        if (roots.currentWritesetRoot() != 0) {
            bitset(
                    Structure.CURRENT_WRITESET,
                    roots.currentEra(),
                    roots.currentWritesetRoot(),
                    roots.currentWritesetNrBits());
        }
        TreeSpec eras = new TreeSpec(Structure.ERA_ARRAY, -1, BTreeNode.BLOCK_VALUE_BYTES, BlockTable.LIVE);
        ArrayWalk walk = new ArrayWalk(reader, eras, ArrayBlock.ERA_BYTES, arrayBuffers, new HighestEra());
        walk.walk(roots.eraArrayRoot(), Math.max(0, roots.nrBlocks()), true);
        reach = walk.reach();
        openEnded = walk.isOpenEnded();
        trust = table.withDoublyUsed();
    }

    /** What was found on the way. */
    DamageLog log() {
        return log;
    }

    /** A table in which those blocks are marked that must not be trusted. */
    BlockTable tableOfTrust() {
        return trust.withDoublyUsed();
    }

    /**
     * Whether trees lead to blocks that the space map of the same commit counts as free, while nothing leads to parts that
     * it counts as used: then those references lead to older versions, and must not be believed.
     */
    private boolean isLedAstray() {
        return stored != null && isOfThisState && contradictsTrees() && !new MissedParts(quiet, stored).isEmpty();
    }

    private BlockTable withoutBelief() {
        BlockTable doubting = table.withDoublyUsed();
        for (int b = 0; b < table.size(); b++) {
            if (table.references(b) > 0 && stored.count(b) == 0) {
                doubting.disbelieve(b);
            }
        }
        return doubting;
    }

    /** Compares with the space map of {@code superblock}: for {@link #orphans}, {@link #stored} and {@link #reader}. */
    private SalvageSurvey compareWith(Superblock superblock, long deviceBlocks) {
        DamageLog unheard = new DamageLog();
        quiet = new BlockReader(device, table, unheard, new Seen(-1));
        SpaceMapCheck spaceMap = new SpaceMapCheck(quiet, superblock, deviceBlocks);
        StoredCounts counts = spaceMap.load();
        spaceMap.claim();
        if (superblock.metadataSnap() != 0) {
            MetadataChecker.claimSnapshot(superblock, quiet, unheard);
        }
        isAllAccountedFor = spaceMap.isAllAccountedFor();
        if (spaceMap.agreesWithItself()) {
            stored = counts;
            isOfThisState = spaceMap.isOfThisState();
            sound = isOfThisState || !contradictsTrees() ? counts : null;
        }
        return this;
    }

    private boolean contradictsTrees() {
        for (int b = 0; b < table.size(); b++) {
            if (table.references(b) > 0 && stored.count(b) == 0) {
                return true;
            }
        }
        return false;
    }

    /** What the space map stores, or null if it contradicts itself. */
    StoredCounts stored() {
        return stored;
    }

    /** Its table has the references of all trees. */
    BlockReader reader() {
        return quiet;
    }

    /**
     * Trees that are in use in the space map, and to which nothing refers. None while the space map contradicts the
     * trees or itself.
     */
    RootCandidate orphans() {
        return sound == null ? new RootCandidate(0) : Orphans.find(quiet, sound);
    }

    /** How many origin blocks the era array speaks for, at least those that the superblock speaks of. */
    long reach() {
        return reach;
    }

    /**
     * Whether {@code orphans} are all that is in use and that nothing refers to, and all of them bitsets: then they are
     * the writesets that have been lost.
     */
    boolean areOrphansAllLostWritesets(RootCandidate orphans) {
        return sound != null
                && !orphans.bitsets.isEmpty()
                && orphans.writesetTrees.isEmpty()
                && orphans.eraArrays.isEmpty()
                && orphans.unreadable == 0
                && new MissedParts(quiet, sound)
                        .loose(MissedParts.Content.WORDS)
                        .isEmpty();
    }

    /** The lowest era of a writeset that could be read, or the highest number when there is none. */
    long firstWriteset() {
        return firstEra;
    }

    /** Whether the end of the era array is lost. */
    boolean isOpenEnded() {
        return openEnded;
    }

    /** The highest era of an archived writeset that is credible, or −1. */
    long lastWriteset() {
        return previousEra;
    }

    /** Whether any writeset is there, or was. */
    boolean anyWriteset() {
        return anyWriteset;
    }

    /** The highest credible era in the era array that is above the superblock's current one, or −1. */
    long highestInArray() {
        return highestInArray;
    }

    /**
     * The highest era of which a writeset is missing or unreadable as a whole, or −1.
     *
     * @param lastArchived the highest era of which there can be a writeset in the tree
     */
    long lostUpTo(long lastArchived) {
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
    public void entry(BTreeNode leaf, int index, boolean counted) {
        anyWriteset = true;
        long era = leaf.key(index);
        if (era < 0 || era >= INCREDIBLE_ERA && era > roots.currentEra()) {
            // Whatever era this was, its marks can't be told.
            lostOpenEnd = true;
            return;
        }
        if (previousEra >= 0 && era != previousEra + 1) {
            gapUpTo = Math.max(gapUpTo, era - 1);
        }
        previousEra = era;
        firstEra = Math.min(firstEra, era);
        int offset = leaf.valueOffset(index);
        bitset(
                Structure.WRITESET,
                era,
                WritesetValue.root(leaf.buffer(), offset),
                WritesetValue.nrBits(leaf.buffer(), offset));
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

    private void bitset(Structure structure, long era, long root, long nrBits) {
        TreeSpec spec = new TreeSpec(structure, era, BTreeNode.BLOCK_VALUE_BYTES, BlockTable.LIVE);
        new ArrayWalk(reader, spec, ArrayBlock.WORD_BYTES, arrayBuffers, NOBODY)
                .walk(root, (nrBits + Long.SIZE - 1) / Long.SIZE, true);
    }

    private final class HighestEra implements ArrayWalk.Visitor {
        private final ByteBuffer block = BlockReader.newBuffer();
        private final ArrayBlock array = new ArrayBlock();

        @Override
        public void present(long index, long blockNr, int usable) {
            if (Seen.code(reader.seen(blockNr)) != Seen.ERAS_ABOVE_CURRENT || reader.tryRead(blockNr, block) != null) {
                return;
            }
            array.wrap(block, 0);
            for (int i = 0; i < usable; i++) {
                long era = Integer.toUnsignedLong(array.valueInt(i));
                if (era < INCREDIBLE_ERA && era > roots.currentEra()) {
                    highestInArray = Math.max(highestInArray, era);
                }
            }
        }

        @Override
        public void lost(long from, long to) {}
    }
}
