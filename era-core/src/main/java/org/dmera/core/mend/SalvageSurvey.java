// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.check.SpaceMapCheck;
import org.dmera.core.check.SuperblockCheck;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.MisdirectedWrites;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.StoredCounts;

/**
 * First look at damaged metadata whose roots are known: a walk of its trees, compared with its space map, and repeated without
 * those blocks that the comparison shows to be in doubt.
 */
public final class SalvageSurvey {
    private final BlockDevice device;
    private final Superblock superblock;
    private final BlockUse table;
    private final TreeSurvey trees;
    private final DamageLog log = new DamageLog();

    private boolean isAllAccountedFor;
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

    private SalvageSurvey(BlockDevice device, Superblock superblock, BlockUse table) {
        this.device = device;
        this.superblock = superblock;
        this.table = table;
        BlockReader reader = new BlockReader(device, table, log, new BlockVerdict((int) superblock.lastArchived()));
        if (superblock.metadataSnap() != 0) {
            table.rememberPlaces();
        }
        this.trees = new TreeSurvey(superblock, reader);
    }

    /**
     * Surveys what {@code superblock} leads to, and compares it with its space map; once more where blocks are in use twice,
     * with neither user trusted, and where trees lead to older versions of their parts.
     *
     * @param superblock with what is taken for the sizes that it may have wrong; 0 origin blocks when that isn't known
     */
    public static SalvageSurvey of(BlockDevice device, Superblock superblock) {
        return of(device, superblock, true);
    }

    /** The same for whoever tries what would put the trees right: doubts only what leads to what is free. */
    static SalvageSurvey forMending(BlockDevice device, Superblock superblock) {
        return of(device, superblock, false);
    }

    private static SalvageSurvey of(BlockDevice device, Superblock superblock, boolean doubtsDisputed) {
        SalvageSurvey survey = walked(device, superblock, new BlockUse(device.sizeBlocks()));
        if (survey.log.found(DamageKind.DOUBLY_USED) > 0) {
            survey = walked(device, superblock, survey.trust);
        }
        survey.compare();
        StoredCounts counts = survey.stored;
        List<Integer> doubted = survey.doubted.stream()
                .filter(b -> doubtsDisputed || counts.count(b) == 0)
                .toList();
        if (!doubted.isEmpty()) {
            survey.doubted = doubted;
            survey = survey.again(Set.of());
        }
        return survey.withoutOutdated();
    }

    private static SalvageSurvey walked(BlockDevice device, Superblock superblock, BlockUse table) {
        SalvageSurvey survey = new SalvageSurvey(device, superblock, table);
        survey.trees.run();
        survey.trust = table.withDoublyUsed();
        return survey;
    }

    /** The survey once more without believing those who lead to {@link #doubted} blocks, nor what {@code outdated} ones hold. */
    private SalvageSurvey again(Set<Integer> outdated) {
        BlockUse doubting = trust.withDoublyUsed();
        doubted.forEach(doubting::distrust);
        outdated.forEach(doubting::distrustContent);
        SalvageSurvey survey = walked(device, superblock, doubting);
        survey.compare();
        survey.doubted = doubted;
        survey.isMapReliable = isMapReliable;
        return survey;
    }

    /** The survey once more without what a misdirected write may have left as it was before; this one when there is none. */
    private SalvageSurvey withoutOutdated() {
        Set<Integer> outdated = MisdirectedWrites.find(
                        quiet, stored, Stream.concat(log.kept().stream(), beside.kept().stream()))
                .keySet();
        if (outdated.isEmpty()) {
            return this;
        }
        SalvageSurvey survey = again(outdated);
        survey.isAnyWriteMisdirected = true;
        return survey;
    }

    /** Whether a write of a block in use went to another one's place. */
    boolean isAnyWriteMisdirected() {
        return isAnyWriteMisdirected;
    }

    /** What the trees speak for. */
    public TreeSurvey trees() {
        return trees;
    }

    /** See {@link TreeSurvey#lostUpTo}. */
    public long lostUpTo(long lastArchived) {
        return trees.lostUpTo(lastArchived, isAllAccountedFor);
    }

    /** Whether a leaf that leads to array block {@code index} of an array with {@code content} may be an older version. */
    public boolean isUnsure(UnclaimedParts.Content content, long index) {
        return isContradicted() && trees.isUnsure(content, index);
    }

    /** What was found on the way. */
    public DamageLog log() {
        return log;
    }

    /** A table in which those blocks are marked that must not be trusted. */
    public BlockUse trustTable() {
        return trust.withDoublyUsed();
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
            MetadataChecker.claimSnapshot(superblock, quiet);
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
        missed = new UnclaimedParts(quiet, counts, false);
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
     * Whether what the space map counts for single blocks may put the trees right. Not if the map itself may be the older
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

    /** Whether the space map agrees with itself, and counts as free what is referred to: it may be another state's. */
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

    /** What is in use, and has lost its reference; null when the space map doesn't show it. */
    public UnclaimedParts missed() {
        return missed;
    }

    /** Blocks that references lead to which may lead elsewhere: too many for what is counted, or past the end of an array. */
    public List<Integer> doubted() {
        List<Integer> all = new ArrayList<>(doubted);
        all.addAll(trees.extra());
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
        Walk.writesets(fresh, copy.writesetTreeRoot(), (era, nrBits, root, counted) -> eras.put(root, era));
        return eras;
    }

    /** The held snapshot's copy of the superblock, or null when there is none that can be read. */
    public Superblock heldSnapshot() {
        return snapshot(BlockReader.quiet(device, trustTable()));
    }

    private Superblock snapshot(BlockReader reader) {
        long copy = superblock.metadataSnap();
        return table.isUsable(copy) ? new SuperblockCheck(reader, copy).read() : null;
    }

    /** Whether the space map agrees with itself and with all trees, so that nothing is missed. */
    public boolean isWhole() {
        return missed != null && missed.isEmpty() && missed.unknown() == 0 && doubted.isEmpty();
    }

    /** Whether the space map counts parts with marks as used to which nothing leads. */
    public boolean isAnythingMissed() {
        return missed != null && !missed.isEmpty();
    }

    /** Whether all that the space map counts as used is referred to as often as it counts. */
    public boolean isAllAccountedFor() {
        return isAllAccountedFor;
    }
}
