// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.check.SpaceMapCheck;
import org.dmera.core.check.SuperblockCheck;
import org.dmera.core.evidence.ArrayWalk;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.MisdirectedWrites;
import org.dmera.core.evidence.StoredCounts;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.TreeWalk;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Eras;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.ArrayWalker;
import org.dmera.core.read.BlockVerdict;

/**
 * First look at damaged metadata whose roots are known: which blocks can't be trusted because two places use them, up to
 * which era writesets are lost, and which sizes and eras the content speaks for.
 */
public final class SalvageSurvey implements TreeWalk.WritesetVisitor {
    /** Eras from here on are taken for damage: nobody changes eras two thousand million times. */
    public static final long IMPLAUSIBLE_ERA = 1L << 31;

    /** The kernel's shrink leaves one; many are many wrong keys. */
    private static final int MAX_EXTRA = 1 << 12;

    private final BlockDevice device;
    private final SalvagedRoots roots;
    private final Superblock superblock;
    private final BlockReader reader;
    private final BlockUse table;
    private final DamageLog log = new DamageLog();

    private long firstEra = Long.MAX_VALUE;
    private long previousEra = -1;
    private boolean anyWriteset;
    private long lostUpTo = -1;
    /** The highest era below that of a writeset of which there is none. */
    private long gapUpTo = -1;

    private boolean isAllAccountedFor;
    private boolean lostOpenEnd;
    private long highestInArray = -1;
    private long extent;
    private boolean isEndUnknown;
    private BlockUse trust;
    private BlockReader quiet;
    /** What the space map stores, if it doesn't contradict itself. */
    private StoredCounts stored;
    /** The same, if it doesn't contradict the trees either, or belongs to them all the same. */
    private StoredCounts sound;

    private boolean hasMapOfAnother;

    private final DamageLog beside = new DamageLog();
    /** Blocks of the trees that are no part of the space map, though it leads there. */
    private final BitSet mistaken = new BitSet();
    /** Blocks to which more references lead than {@link #sound} counts: some of those lead to an older version. */
    private List<Integer> doubted = List.of();

    private UnclaimedParts missed;
    private boolean isMapReliable = true;
    private boolean isAnyWriteMisdirected;
    /** Array blocks past the end of their arrays: a wrong key may have brought them there. */
    private final List<Integer> extra = new ArrayList<>();

    private final BitSet goneEras = new BitSet();
    /** The array blocks that may have a leaf which doesn't lead to some others. */
    private final Map<UnclaimedParts.Content, BitSet> unsure = new EnumMap<>(UnclaimedParts.Content.class);

    private SalvageSurvey(BlockDevice device, SalvagedRoots roots, Superblock superblock, BlockUse table) {
        this.device = device;
        this.roots = roots;
        this.superblock = superblock;
        this.table = table;
        this.reader = new BlockReader(device, table, log, new BlockVerdict((int) lastDigested()));
        if (superblock.metadataSnap() != 0) {
            table.rememberPlaces();
        }
    }

    /**
     * Surveys what {@code roots} lead to, and compares it with the space map of {@code superblock}. When blocks turn out to
     * be in use twice, once more, with neither user trusted: what the first of them led to has to be counted among the
     * lost. When trees lead to older versions of their parts, likewise.
     */
    public static SalvageSurvey of(BlockDevice device, SalvagedRoots roots, Superblock superblock) {
        return of(device, roots, superblock, true);
    }

    /** The same for whoever tries what would put the trees right: doubts only what leads to what is free. */
    static SalvageSurvey forMending(BlockDevice device, SalvagedRoots roots, Superblock superblock) {
        return of(device, roots, superblock, false);
    }

    private static SalvageSurvey of(
            BlockDevice device, SalvagedRoots roots, Superblock superblock, boolean doubtsDisputed) {
        SalvageSurvey survey = new SalvageSurvey(device, roots, superblock, new BlockUse(device.sizeBlocks()));
        survey.run();
        if (survey.log.found(DamageKind.DOUBLY_USED) > 0) {
            survey = new SalvageSurvey(device, roots, superblock, survey.trust);
            survey.run();
        }
        survey.compare();
        StoredCounts counts = survey.stored;
        List<Integer> doubted = survey.doubted.stream()
                .filter(b -> doubtsDisputed || counts.count(b) == 0)
                .toList();
        if (!doubted.isEmpty()) {
            boolean isMapReliable = survey.isMapReliable;
            survey = new SalvageSurvey(device, roots, superblock, survey.distrusting(doubted));
            survey.run();
            survey.compare();
            survey.doubted = doubted;
            survey.isMapReliable = isMapReliable;
        }
        return survey.withoutOutdated();
    }

    /** The survey once more without what a misdirected write may have left as it was before; this one when there is none. */
    private SalvageSurvey withoutOutdated() {
        Set<Integer> outdated = MisdirectedWrites.find(
                        quiet, stored, Stream.concat(log.kept().stream(), beside.kept().stream()))
                .keySet();
        if (outdated.isEmpty()) {
            return this;
        }
        BlockUse doubting = distrusting(doubted);
        outdated.forEach(doubting::distrustContent);
        SalvageSurvey survey = new SalvageSurvey(device, roots, superblock, doubting);
        survey.run();
        survey.compare();
        survey.doubted = doubted;
        survey.isMapReliable = isMapReliable;
        survey.isAnyWriteMisdirected = true;
        return survey;
    }

    /** Whether a write of a block in use went to another one's place. */
    boolean isAnyWriteMisdirected() {
        return isAnyWriteMisdirected;
    }

    private void run() {
        TreeSpec tree = TreeSpec.live(Structure.WRITESET_TREE);
        new TreeWalk(reader, tree, this).walk(roots.writesetTreeRoot(), true);
        if (roots.currentWritesetRoot() != 0) {
            bitset(
                    Structure.CURRENT_WRITESET,
                    roots.currentEra(),
                    roots.currentWritesetRoot(),
                    roots.currentWritesetNrBits());
        }
        TreeSpec eras = TreeSpec.live(Structure.ERA_ARRAY);
        ArrayWalk walk = new ArrayWalk(reader, eras, new HighestEra());
        walk.walk(roots.eraArrayRoot(), Math.max(0, roots.nrBlocks()), true);
        extent = walk.extent();
        isEndUnknown = walk.isEndUnknown();
        trust = table.withDoublyUsed();
    }

    /** The highest era that the era array may hold: that of an open writeset has not been digested. */
    private long lastDigested() {
        return Eras.lastArchived(roots.currentEra(), roots.currentWritesetRoot() != 0);
    }

    /** What was found on the way. */
    public DamageLog log() {
        return log;
    }

    /** A table in which those blocks are marked that must not be trusted. */
    public BlockUse trustTable() {
        return trust.withDoublyUsed();
    }

    /** A table in which nobody believes those who lead to the {@code doubted} blocks. */
    private BlockUse distrusting(List<Integer> doubted) {
        BlockUse doubting = trust.withDoublyUsed();
        doubted.forEach(doubting::distrust);
        return doubting;
    }

    /**
     * Compares with the space map, after the references of the held snapshot and of the map itself have been counted too.
     *
     * <p>A block to which more references lead than the map of the same commit counts, while others are missed: whoever
     * leads there may lead to an older version, and must not be believed.
     */
    private void compare() {
        quiet = new BlockReader(device, table, beside, new BlockVerdict(-1));
        SpaceMapCheck spaceMap = new SpaceMapCheck(quiet, superblock, device.sizeBlocks());
        StoredCounts counts = spaceMap.load();
        beside.kept().stream()
                .mapToLong(Damage::blockNr)
                .filter(b -> table.isUsable(b) && table.references((int) b) > 0)
                .forEach(b -> mistaken.set((int) b));
        spaceMap.claim();
        if (superblock.metadataSnap() != 0) {
            MetadataChecker.claimSnapshot(superblock, quiet, beside);
        }
        isAllAccountedFor = spaceMap.isAllAccountedFor();
        if (!spaceMap.agreesWithItself()) {
            return;
        }
        stored = counts;
        List<Integer> tooMany = tooManyReferences();
        hasMapOfAnother = !tooMany.isEmpty();
        if (!spaceMap.isOfThisState() && !tooMany.isEmpty()) {
            return;
        }
        // What is in a bitset's place and of another size isn't that bitset: some other era's, which is missing then.
        isAllAccountedFor &= tooMany.isEmpty() && log.kept().stream().noneMatch(SalvageSurvey::isBitsetOfOtherSize);
        sound = counts;
        missed = new UnclaimedParts(quiet, counts);
        if (!missed.isEmpty() || missed.unknown() > 0) {
            doubted = tooMany;
        }
        isMapReliable = !mayMapBeOlder()
                && (superblock.metadataSnap() == 0 || doubted.stream().allMatch(b -> stored.count(b) == 0));
    }

    private static boolean isBitsetOfOtherSize(Damage damage) {
        return damage.structure() == Structure.WRITESET
                && (damage.kind() == DamageKind.ARRAY_BLOCK_LONG || damage.kind() == DamageKind.ARRAY_BLOCK_SHORT);
    }

    private boolean mayMapBeOlder() {
        int usedOnly = 0;
        int countedOnly = 0;
        for (int b = 1; b < table.size(); b++) {
            boolean isCounted = stored.count(b) > 0;
            boolean isUsed = table.references(b) > 0;
            usedOnly += isUsed && !isCounted ? 1 : 0;
            countedOnly += isCounted && !isUsed ? 1 : 0;
        }
        return usedOnly > 0 && (usedOnly == countedOnly || log.areTreesIncomplete());
    }

    private List<Integer> tooManyReferences() {
        List<Integer> blocks = new ArrayList<>();
        for (int b = 1; b < table.size(); b++) {
            int counted = stored.count(b);
            if (counted >= 0 && counted < BitmapBlock.SEE_TREE && table.references(b) > counted) {
                blocks.add(b);
            }
        }
        return blocks;
    }

    /**
     * Whether some node may be an older version of itself: references lead to what they can't lead to, or are missing.
     * Then those of its references that seem to be right need not be.
     */
    public boolean isContradicted() {
        return !doubted.isEmpty() || log.found(DamageKind.ARRAY_BLOCK_MISSING) > 0;
    }

    /**
     * Whether what the space map says of single blocks may put the trees right. Not if the map itself may be the older
     * version: then as many blocks are used and not counted as are counted and not used. And not if a held snapshot and the
     * live trees dispute a block, for then both owners fit.
     */
    boolean isMapReliable() {
        return isMapReliable;
    }

    /** What the space map stores, or null if it contradicts itself, or isn't the one of this state. */
    public StoredCounts storedOfThisState() {
        return sound;
    }

    /** Whether the space map agrees with itself, and counts something as free that is referred to: it may be another state's. */
    public boolean hasMapOfAnother() {
        return hasMapOfAnother;
    }

    /** What is wrong with the held snapshot and the space map, but for references that lead into the trees instead. */
    public List<Damage> besideTheTrees() {
        return beside.kept().stream()
                .filter(damage -> !table.isUsable(damage.blockNr()) || !mistaken.get((int) damage.blockNr()))
                .toList();
    }

    /** What the space map stores, or null if it contradicts itself. */
    public StoredCounts stored() {
        return stored;
    }

    /** Its table has the references of all trees. */
    public BlockReader reader() {
        return quiet;
    }

    /** What is in use, and has lost its reference; null when the space map can't tell. */
    public UnclaimedParts missed() {
        return sound == null ? null : missed;
    }

    /** Blocks that references lead to which may lead elsewhere: too many for what is counted, or past the end of an array. */
    public List<Integer> doubted() {
        List<Integer> all = new ArrayList<>(doubted);
        all.addAll(extra);
        return all;
    }

    /** The eras of the bitsets that the held snapshot has; none while anything contradicts anything. */
    public Map<Long, Long> erasOfSnapshot() {
        Map<Long, Long> eras = new HashMap<>();
        BlockReader fresh = BlockReader.quiet(device, trustTable());
        Superblock copy = doubted.isEmpty() ? snapshot(fresh) : null;
        if (copy == null) {
            return eras;
        }
        TreeSpec tree = TreeSpec.live(Structure.WRITESET_TREE);
        TreeWalk.WritesetVisitor visitor = (era, nrBits, root, counted) -> eras.put(root, era);
        new TreeWalk(fresh, tree, visitor).walk(copy.writesetTreeRoot(), true);
        return eras;
    }

    /** The era of the held snapshot, which was current once; −1 when there is none that can be read. */
    public long eraOfSnapshot() {
        Superblock copy = snapshot(BlockReader.quiet(device, trustTable()));
        return copy == null ? -1 : copy.currentEra();
    }

    /** The held snapshot's copy of the superblock, or null. */
    private Superblock snapshot(BlockReader reader) {
        long copy = superblock.metadataSnap();
        ByteBuffer block = BlockReader.newBuffer();
        boolean isThere =
                copy != 0 && table.isUsable(copy) && new SuperblockCheck(reader, Structure.SNAPSHOT, copy).read(block);
        return isThere ? new Superblock().wrap(block, 0) : null;
    }

    /** How many origin blocks the era array speaks for, at least those that the superblock speaks of. */
    public long extent() {
        return extent;
    }

    /** The lowest era of a writeset that could be read, or the highest number when there is none. */
    public long firstWriteset() {
        return firstEra;
    }

    /** Whether the end of the era array is lost. */
    public boolean isEndUnknown() {
        return isEndUnknown;
    }

    /** The highest era of an archived writeset that is credible, or −1. */
    public long lastWriteset() {
        return previousEra;
    }

    /**
     * The least current era for which the highest credible era in the era array can have been digested, if that is above
     * the superblock's, or −1.
     */
    public long leastCurrentEra() {
        return highestInArray < 0 ? -1 : highestInArray + (roots.currentWritesetRoot() == 0 ? 0 : 1);
    }

    /** Whether the space map agrees with itself and with all trees, so that nothing is missed. */
    public boolean isWhole() {
        return stored != null && missed != null && missed.isEmpty() && missed.unknown() == 0 && doubted.isEmpty();
    }

    /** Whether the space map counts parts with marks as used to which nothing leads. */
    public boolean isAnythingMissed() {
        return missed != null && !missed.isEmpty();
    }

    /** Whether all that the space map counts as used is referred to as often as it says. */
    public boolean isAllAccountedFor() {
        return isAllAccountedFor;
    }

    /** Whether any writeset is there, or was. */
    public boolean anyWriteset() {
        return anyWriteset;
    }

    /** Whether the writesets follow each other without a gap, and end after the last that can have been archived. */
    public boolean areWritesetsAhead() {
        return gapUpTo < 0 && previousEra > lastDigested();
    }

    /**
     * The highest era of which a writeset is missing or unreadable as a whole, or −1.
     *
     * @param lastArchived the highest era of which there can be a writeset in the tree
     */
    public long lostUpTo(long lastArchived) {
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
        if (era < 0 || era >= IMPLAUSIBLE_ERA && era > roots.currentEra()) {
            // Whatever era this was, its marks can't be told.
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

    private void bitset(Structure structure, long era, long root, long nrBits) {
        TreeSpec spec = TreeSpec.live(structure, era);
        new ArrayWalk(reader, spec, new Bits()).walk(root, (nrBits + Long.SIZE - 1) / Long.SIZE, true);
    }

    /** Of a bitset: only what is out of place is of interest. */
    private class Bits implements ArrayWalker.Visitor {
        @Override
        public void strayed(long from, long to) {
            strayed(UnclaimedParts.Content.WORDS, from, to);
        }

        final void strayed(UnclaimedParts.Content content, long from, long to) {
            int inLeaf = BTreeNode.maxEntries(BTreeNode.BLOCK_VALUE_BYTES) - 1;
            unsure.computeIfAbsent(content, any -> new BitSet())
                    .set((int) Math.max(0, from - inLeaf), (int) to + inLeaf);
        }

        @Override
        public void extra(long index, long blockNr) {
            if (extra.size() < MAX_EXTRA) {
                extra.add((int) blockNr);
            }
        }
    }

    /** Whether a leaf that leads to array block {@code index} of an array with {@code content} may be an older version. */
    public boolean isUnsure(UnclaimedParts.Content content, long index) {
        return isContradicted()
                && unsure.containsKey(content)
                && unsure.get(content).get((int) index);
    }

    /** Whether what is in array block {@code index} of the era array can't be relied on. */
    public boolean isGone(long index) {
        return goneEras.get((int) index);
    }

    private final class HighestEra extends Bits {
        private final ByteBuffer block = BlockReader.newBuffer();
        private final ArrayBlock array = new ArrayBlock();

        @Override
        public void strayed(long from, long to) {
            strayed(UnclaimedParts.Content.ERAS, from, to);
        }

        @Override
        public void gone(long from, long to) {
            goneEras.set((int) from, (int) to);
        }

        @Override
        public void present(long index, long blockNr, int usable) {
            if (reader.code(blockNr) != BlockVerdict.ERAS_ABOVE_CURRENT || reader.tryRead(blockNr, block) != null) {
                return;
            }
            array.wrap(block, 0);
            for (int i = 0; i < usable; i++) {
                long era = Integer.toUnsignedLong(array.valueInt(i));
                if (era < IMPLAUSIBLE_ERA && era > lastDigested()) {
                    highestInArray = Math.max(highestInArray, era);
                }
            }
        }
    }
}
