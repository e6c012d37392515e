// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.ArrayWalk;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.StoredCounts;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.TreeWalk;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.mend.SalvagedRoots;
import org.dmera.core.mend.TreeMender;
import org.dmera.core.read.BlockVerdict;

/**
 * Salvages metadata whose roots are known.
 *
 * <p>What is lost is widened, never narrowed: a lost part of a bitset has every bit set, a lost part of the era array
 * holds the current era. When writesets are lost as a whole, up to era H say, any origin block may have been written in
 * era H: then the era array gets H as its least value, which says just that, and the writesets up to H are left out,
 * for they add nothing.
 */
final class KnownRootsSalvage extends Salvage {
    private final BlockDevice device;
    private final SalvagedRoots roots;
    private final SalvageSurvey survey;
    private final long dataBlockSizeSectors;
    private final long nrBlocks;
    private final long currentEra;
    private final long mergedUpTo;
    /** In which era the blocks of {@link #unclaimed} bitsets count as written. */
    private final long orphanEra;

    private final List<Damage> damages;
    private final boolean isOvertaken;
    private final boolean wereBlocksMoved;
    private final StoredCounts ownCounts;
    /** The same, or null when it may be of another state. */
    private final StoredCounts soundCounts;

    private final BlockUse ownTable;
    private final List<Damage> besideTheTrees;
    private final BlockDevice damaged;
    private final boolean areAllAccountedFor;
    private final boolean isAnythingMissed;
    private final boolean hasMapOfAnother;
    private final boolean areWritesetsAhead;
    private final boolean isDamaged;
    private final List<String> remarks = new ArrayList<>();
    private final ByteBuffer block = BlockReader.newBuffer();

    /** What has lost its reference, or null when nobody knows. */
    private final UnclaimedMarks unclaimed;
    /** Whether some references lead to older versions of what belongs there. */
    private final boolean contradicted;

    private final List<TreeMender.Doubtful> doubtfulPlaces;
    private final boolean areWritesetsLost;
    private final long onceBlocks;

    private final int[] orphaned = new int[UnclaimedMarks.WINDOW];

    private BlockReader reader;

    KnownRootsSalvage(BlockDevice damaged, Superblock damagedSuperblock, SalvageHints hints) throws IOException {
        SalvageSurvey first = survey(damaged, damagedSuperblock, hints);
        this.damages = first.log().kept();
        this.ownCounts = first.stored();
        this.soundCounts = first.storedOfThisState();
        this.ownTable = first.reader().table();
        this.besideTheTrees = first.besideTheTrees();
        this.damaged = damaged;
        this.areAllAccountedFor = first.isAllAccountedFor();
        this.isAnythingMissed = first.isAnythingMissed();
        this.hasMapOfAnother = first.hasMapOfAnother();
        this.areWritesetsAhead = first.areWritesetsAhead() && !first.isWhole();
        this.isOvertaken = first.isContradicted() || damages.stream().anyMatch(KnownRootsSalvage::isOtherContent);
        this.isDamaged = isOvertaken || !damages.isEmpty() || !first.isWhole();
        TreeMender.Mended mended = damages.isEmpty() ? null : TreeMender.mend(damaged);
        this.wereBlocksMoved = mended != null && mended.isOnlyMoved();
        Superblock superblock = damagedSuperblock;
        if (mended != null) {
            BlockReader opener = BlockReader.quiet(mended.device(), new BlockUse(1));
            ByteBuffer bytes = BlockReader.newBuffer();
            opener.tryRead(0, bytes);
            superblock = new Superblock().wrap(bytes, 0);
            remarks.addAll(mended.remarks());
            remarks.add("the trees were mended: every block in use has its place now, and each place its block");
        }
        this.device = mended == null ? damaged : mended.device();
        this.onceBlocks = onceBlocks(superblock);
        this.survey = mended == null ? first : survey(device, superblock, hints);
        this.roots = plausible(device, superblock, hints);
        this.dataBlockSizeSectors = blockSize(roots, hints);
        refuseToLeaveOut(hints, superblock);
        this.nrBlocks = nrBlocks(hints, superblock.nrBlocks());
        this.currentEra = currentEra(hints, roots.currentEra(), superblock.currentEra());
        this.doubtfulPlaces = mended == null ? List.of() : mended.doubtful();
        this.unclaimed = unclaimed();
        this.contradicted = survey.isContradicted();
        if (unclaimed != null && unclaimed.isAnything()) {
            remarks.add("parts that are in use, and to which no reference leads, are taken for lost ones");
        }
        long lostUpTo = survey.lostUpTo(lastArchived());
        this.areWritesetsLost = lostUpTo >= 0;
        boolean isAllThere = unclaimed != null && unclaimed.isComplete() && !contradicted;
        if (contradicted && (unclaimed == null || !unclaimed.isComplete())) {
            // References lead to older versions, and what they should lead to can't be read.
            this.orphanEra = currentEra;
            this.mergedUpTo = currentEra;
        } else if (lostUpTo >= 0 && survey.firstWriteset() > lostUpTo && isAllThere) {
            // Whatever was written in the lost eras is in the bitsets that are left of them.
            this.orphanEra = lostUpTo;
            this.mergedUpTo = -1;
            remarks.add("writesets of eras up to " + lostUpTo + " have lost their references; their blocks count as"
                    + " written in that era where their own isn't known");
        } else {
            this.orphanEra = currentEra;
            this.mergedUpTo = lostUpTo;
        }
    }

    private UnclaimedMarks unclaimed() {
        if (survey.missed() == null) {
            return null;
        }
        List<Integer> doubted = survey.doubted();
        doubtfulPlaces.forEach(place -> doubted.add(place.blockNr()));
        return new UnclaimedMarks(device, survey.trustTable(), survey.missed(), survey.erasOfSnapshot(), doubted);
    }

    /**
     * Whether something else is in a place to which the superblock leads: it may have been written later. Not if blocks had
     * changed places, and nothing else was wrong.
     */
    boolean isContradicted() {
        return isOvertaken && !wereBlocksMoved;
    }

    /** Whether the superblock's own space map, if it doesn't contradict itself, counts the block as used. */
    boolean countsAsUsed(long blockNr) {
        return ownCounts != null && ownCounts.count((int) blockNr) > 0;
    }

    /** Whether the space map may be that of another state. */
    boolean hasMapOfAnother() {
        return hasMapOfAnother;
    }

    /**
     * Whether the tree of writesets is of a later era than the superblock's state can have archived, and not all is
     * accounted for: a later state has come to the same block for its root, or its keys are wrong.
     */
    boolean areWritesetsAhead() {
        return areWritesetsAhead;
    }

    /** Whether the trees break no rule, whatever the space map counts. */
    boolean areFaultless() {
        return damages.stream().noneMatch(damage -> damage.severity() == Severity.FATAL);
    }

    /** Whether a block to which the superblock leads, directly or not, can't be read as what it was written as. */
    boolean areBlocksBroken() {
        return Stream.concat(damages.stream(), besideTheTrees.stream()).anyMatch(damage -> switch (damage.kind()) {
            case UNREADABLE, BAD_CHECKSUM, WRONG_BLOCK_NUMBER -> true;
            default -> false;
        });
    }

    /** Whether the space map counts parts with marks as used to which nothing leads. */
    boolean isAnythingMissed() {
        return isAnythingMissed;
    }

    /** Whether anything is wrong with what the superblock leads to, its space map and a held snapshot included. */
    boolean isAnythingWrong() {
        return isDamaged
                || hasMapOfAnother
                || !areAllAccountedFor
                || besideTheTrees.stream().anyMatch(damage -> damage.severity() == Severity.FATAL);
    }

    /**
     * Blocks to which the superblock's state leads, and which hold something of another kind. If another reference leads to
     * one for which that kind is right, or more lead there than the state's own space map counts, a reference is wrong, and
     * the block isn't named.
     */
    BitSet overwritten() {
        BitSet blocks = new BitSet();
        Map<Long, Long> references = Stream.concat(damages.stream(), besideTheTrees.stream())
                .filter(this::isOfAnotherTree)
                .collect(Collectors.groupingBy(Damage::blockNr, Collectors.counting()));
        references.forEach((blockNr, wrong) -> {
            if (!ownTable.isUsable(blockNr)) {
                return;
            }
            int b = blockNr.intValue();
            int counted = soundCounts == null ? -1 : soundCounts.count(b);
            int found = ownTable.references(b);
            if (counted < 0 ? found <= wrong : counted > 0 && found <= counted) {
                blocks.set(b);
            }
        });
        return blocks;
    }

    /** Blocks beside the trees that can be read, and are wrong: who shares them is no witness. */
    BitSet wrongBesideTheTrees() {
        BitSet blocks = new BitSet();
        besideTheTrees.stream()
                .filter(damage -> isOtherContent(damage) && !isOfAnotherTree(damage))
                .mapToLong(Damage::blockNr)
                .filter(ownTable::isUsable)
                .forEach(b -> blocks.set((int) b));
        return blocks;
    }

    /** Whether the block holds something else that is as it should be. */
    private boolean isOfAnotherTree(Damage damage) {
        if (damage.kind() != DamageKind.BAD_HEADER) {
            return damage.kind() == DamageKind.WRONG_TYPE;
        }
        ByteBuffer bytes = BlockReader.newBuffer();
        BlockReader opener = BlockReader.quiet(damaged, ownTable);
        if (!ownTable.isUsable(damage.blockNr())
                || opener.tryRead(damage.blockNr(), bytes) != null
                || opener.identify(bytes) != BlockType.BTREE_NODE) {
            return false;
        }
        BTreeNode node = new BTreeNode().wrap(bytes, 0);
        return node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES)
                || node.hasSaneShape(WritesetValue.BYTES)
                || node.hasSaneShape(Integer.BYTES);
    }

    private static boolean isOtherContent(Damage damage) {
        return damage.severity() == Severity.FATAL
                && damage.kind() != DamageKind.BAD_CHECKSUM
                && damage.kind() != DamageKind.UNREADABLE;
    }

    private static SalvageSurvey survey(BlockDevice device, Superblock superblock, SalvageHints hints) {
        return SalvageSurvey.of(device, plausible(device, superblock, hints), superblock);
    }

    /** What to go by: the superblock, and what the user knows better. */
    private static SalvagedRoots plausible(BlockDevice device, Superblock superblock, SalvageHints hints) {
        SalvagedRoots roots = SalvagedRoots.of(superblock);
        long nrBlocks =
                hints.nrBlocks() >= 0 ? hints.nrBlocks() : isPlausible(device, superblock) ? roots.nrBlocks() : 0;
        long era = hints.currentEra() >= 0 ? hints.currentEra() : roots.currentEra();
        return new SalvagedRoots(
                roots.dataBlockSizeSectors(),
                nrBlocks,
                era,
                roots.currentWritesetNrBits(),
                roots.currentWritesetRoot(),
                roots.writesetTreeRoot(),
                roots.eraArrayRoot());
    }

    /**
     * Whether there can be so many origin blocks: their eras have room on the device, or had room before it was cut off.
     * Else the era array tells its length itself.
     */
    private static boolean isPlausible(BlockDevice device, Superblock superblock) {
        long blocks = superblock.nrBlocks();
        return Limits.whyNoOrigin(blocks, superblock.dataBlockSizeSectors()) == null
                && Limits.whyNoRoomForEras(blocks, Math.max(device.sizeBlocks(), onceBlocks(superblock))) == null;
    }

    /** Blocks of the metadata device for which the space map is, before it was cut off perhaps. */
    private static long onceBlocks(Superblock superblock) {
        return Math.min(superblock.spaceMapNrBlocks(), IndexBlock.MAX_METADATA_BLOCKS);
    }

    private static long blockSize(SalvagedRoots roots, SalvageHints hints) throws IOException {
        long stored = roots.dataBlockSizeSectors();
        if (hints.dataBlockSizeSectors() >= 0 && Limits.isBlockSize(stored) && stored != hints.dataBlockSizeSectors()) {
            throw new IOException("the superblock is sound and has origin blocks of " + stored
                    + " sectors, not of --block-size " + hints.dataBlockSizeSectors());
        }
        long sectors = hints.dataBlockSizeSectors() >= 0 ? hints.dataBlockSizeSectors() : stored;
        if (!Limits.isBlockSize(sectors)) {
            throw new IOException("the superblock's data_block_size is " + sectors
                    + " sectors, which can't be: say what it is with --block-size");
        }
        return sectors;
    }

    /** The checksum of {@code superblock} is right: unless its figures can't be, a lower one would lose marks. */
    private void refuseToLeaveOut(SalvageHints hints, Superblock superblock) throws IOException {
        long era = superblock.currentEra();
        if (hints.currentEra() >= 0 && hints.currentEra() < era && era < SalvageSurvey.IMPLAUSIBLE_ERA) {
            throw new IOException("the superblock is sound and is of era " + era + ", above --current-era "
                    + hints.currentEra() + ": what was written since would count as written before");
        }
        long size = superblock.nrBlocks();
        if (hints.nrBlocks() < 0 || hints.nrBlocks() >= size || !isPlausible(device, superblock)) {
            return;
        }
        ArrayWalk eras = new ArrayWalk(
                BlockReader.quiet(device, survey.trustTable()), TreeSpec.live(Structure.ERA_ARRAY), new ArrayMap());
        eras.walk(roots.eraArrayRoot(), 0, true);
        if (eras.isEndUnknown() || eras.extent() > hints.nrBlocks()) {
            throw new IOException("the superblock is sound and has an origin of " + size + " blocks, above --nr-blocks "
                    + hints.nrBlocks() + ": what was written past that would be lost");
        }
    }

    private long nrBlocks(SalvageHints hints, long stored) throws IOException {
        if (hints.nrBlocks() >= 0) {
            remarkLeftOut(hints.nrBlocks(), Math.max(survey.extent(), roots.nrBlocks()), remarks);
            return hints.nrBlocks();
        }
        if (stored > roots.nrBlocks() && survey.isEndUnknown()) {
            throw new IOException(
                    "the superblock's nr_blocks can't be right, and the end of the era array is lost: say how"
                            + " many blocks the origin has with --nr-blocks");
        }
        long extent = Math.min(survey.extent(), Limits.MAX_ORIGIN_BLOCKS);
        if (extent > roots.nrBlocks()) {
            remarks.add("nr_blocks is taken to be " + extent + ", as the era array has so many entries; the superblock"
                    + " says " + Long.toUnsignedString(stored));
        }
        return extent;
    }

    /**
     * The superblock's, unless the content speaks for a higher one. A raised era is never wrong for marks: what was
     * written until now stays below or at it, what is written later comes above it.
     */
    private long currentEra(SalvageHints hints, long era, long superblockEra) throws IOException {
        boolean hasCurrent = roots.currentWritesetRoot() != 0;
        long archived = survey.lastWriteset() + (hasCurrent ? 1 : 0);
        long evident = survey.anyWriteset() && survey.lastWriteset() >= 0 ? archived : -1;
        if (hints.currentEra() < 0) {
            // Nothing confirms the superblock's era then. What was written last may be of any later one.
            if (evident != era) {
                requireEra(
                        Math.max(evident, era),
                        survey.leastCurrentEra(),
                        "the era array holds era " + (survey.leastCurrentEra() - (hasCurrent ? 1 : 0)));
            }
            requireEra(
                    Math.max(evident, era),
                    survey.eraOfSnapshot(),
                    "the held snapshot is of era " + survey.eraOfSnapshot());
        }
        if (hints.currentEra() >= 0 && hints.currentEra() < superblockEra) {
            // Eras of the array above it would have to be lowered, and their marks would be lost.
            evident = Math.max(evident, survey.leastCurrentEra());
        }
        if (evident <= era) {
            return era;
        }
        if (hints.currentEra() >= 0) {
            throw new IOException("the metadata holds era " + evident + ", above --current-era " + era);
        }
        remarks.add(
                "the current era is raised from " + era + " to " + evident + ", the highest that the metadata holds");
        return evident;
    }

    /** Asks for the current era, of which no more is known than that it is {@code least} or later, when that is above {@code era}. */
    private static void requireEra(long era, long least, String evidence) throws IOException {
        if (least > era) {
            throw new IOException("the superblock's current era can't be right, for " + evidence
                    + ": say what it is with --current-era; it is at least " + least
                    + "; when in doubt, a higher one loses nothing");
        }
    }

    private long lastArchived() {
        return roots.currentWritesetRoot() == 0 ? currentEra : currentEra - 1;
    }

    @Override
    public List<Damage> damages() {
        return damages;
    }

    @Override
    public List<String> remarks() {
        return remarks;
    }

    @Override
    public long nrBlocks() {
        return nrBlocks;
    }

    @Override
    public long currentEra() {
        return currentEra;
    }

    @Override
    public void stream(MetadataVisitor visitor) throws IOException {
        reader = new BlockReader(
                device, survey.trustTable(), new DamageLog(), new BlockVerdict((int) roots.currentEra()));
        visitor.superblock(dataBlockSizeSectors, nrBlocks, currentEra);
        if (mergedUpTo >= 0) {
            remarks.add("writesets are lost: every origin block counts as written in era " + mergedUpTo
                    + ", and the writesets up to that one are merged into the era array");
        }
        streamWritesets(visitor);
        if (roots.currentWritesetRoot() != 0 && currentEra > mergedUpTo) {
            streamWriteset(
                    Structure.CURRENT_WRITESET,
                    currentEra,
                    roots.currentWritesetNrBits(),
                    roots.currentWritesetRoot(),
                    visitor);
        }
        streamEraArray(visitor);
        visitor.end();
    }

    private void streamWritesets(MetadataVisitor visitor) throws IOException {
        TreeWalk.WritesetVisitor writesets = (era, nrBits, root, counted) -> {
            if (Long.compareUnsigned(era, lastArchived()) <= 0 && era > mergedUpTo) {
                try {
                    streamWriteset(Structure.WRITESET, era, nrBits, root, visitor);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
        };
        try {
            new TreeWalk(reader, TreeSpec.live(Structure.WRITESET_TREE), writesets)
                    .walk(roots.writesetTreeRoot(), true);
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private void streamWriteset(Structure structure, long era, long storedBits, long root, MetadataVisitor visitor)
            throws IOException {
        boolean sizeLost = storedBits > Limits.MAX_ORIGIN_BLOCKS
                || storedBits / Long.SIZE / ArrayBlock.WORDS_PER_BLOCK > Math.max(device.sizeBlocks(), onceBlocks);
        long sound = sizeLost ? 0 : storedBits;
        ArrayMap map = new ArrayMap();
        TreeSpec spec = TreeSpec.live(structure, era);
        ArrayWalk walk = new ArrayWalk(reader, spec, map);
        long soundWords = (sound + Long.SIZE - 1) / Long.SIZE;
        walk.walk(root, soundWords, true);
        long nrBits = sound;
        if (sizeLost || walk.isLonger()) {
            // The bitset goes on past the end that is stored: what lies there may be marks.
            nrBits = Math.max(sound, nrBlocks);
        } else if (hasBitsPastEnd(map, sound)) {
            // Nobody sets such bits: it is the last block of another bitset, or of one of another size.
            long last = sound / Long.SIZE / ArrayBlock.WORDS_PER_BLOCK;
            map.gone(last, last + 1);
            nrBits = Math.max(sound, Math.min(nrBlocks, soundWords * Long.SIZE));
        }
        BitsetStream bits = new BitsetStream(
                reader,
                map,
                soundWords,
                nrBits,
                index -> isPlaceLost(map, index, soundWords > ArrayBlock.WORDS_PER_BLOCK)
                        ? unclaimed.maxWords(index)
                        : null);
        visitor.beginWriteset(era, nrBits);
        bits.stream(visitor);
        visitor.endWriteset();
        if (bits.widened() > 0) {
            remarks.add("writeset of era " + era + ": " + bits.widened()
                    + " origin blocks of lost parts count as written in it");
        }
    }

    private boolean hasBitsPastEnd(ArrayMap map, long nrBits) {
        long word = nrBits / Long.SIZE;
        long index = word / ArrayBlock.WORDS_PER_BLOCK;
        int inBlock = (int) (word % ArrayBlock.WORDS_PER_BLOCK);
        return nrBits % Long.SIZE != 0
                && map.usable(index) > inBlock
                && reader.tryRead(map.block(index), block) == null
                && new ArrayBlock().wrap(block, 0).valueLong(inBlock) >>> nrBits != 0;
    }

    private void streamEraArray(MetadataVisitor visitor) throws IOException {
        ArrayMap map = ArrayMap.of(reader, TreeSpec.live(Structure.ERA_ARRAY), roots.eraArrayRoot(), nrBlocks);
        visitor.beginEraArray();
        long widened = 0;
        for (long first = 0; first < nrBlocks; first += ArrayBlock.ERAS_PER_BLOCK) {
            int count = (int) Math.min(ArrayBlock.ERAS_PER_BLOCK, nrBlocks - first);
            long index = first / ArrayBlock.ERAS_PER_BLOCK;
            int usable = map.isGone(index) || survey.isGone(index) ? 0 : map.load(reader, index, count, block);
            int inWindow = (int) (first % UnclaimedMarks.WINDOW);
            if (unclaimed != null && inWindow == 0) {
                java.util.Arrays.fill(orphaned, 0);
                unclaimed.overlay(
                        orphaned,
                        first / UnclaimedMarks.WINDOW,
                        (int) Math.min(UnclaimedMarks.WINDOW, nrBlocks - first),
                        orphanEra,
                        currentEra,
                        (content, i) -> survey.isUnsure(content, i)
                                || doubtfulPlaces.stream().anyMatch(e -> e.isNear(content, i))
                                || content == UnclaimedParts.Content.WORDS && areWritesetsLost);
            }
            boolean isPlaceLost = isPlaceLost(map, index, nrBlocks > ArrayBlock.ERAS_PER_BLOCK);
            widened += adjust(usable, count, inWindow, isPlaceLost ? unclaimed.maxEras(index, currentEra) : null);
            visitor.eras(first, block, ArrayBlock.VALUES, count);
        }
        visitor.endEraArray();
        if (widened > 0) {
            remarks.add("era array: " + widened + " origin blocks whose eras are lost count as written in era "
                    + currentEra);
        }
    }

    /**
     * Whether array block {@code index} is lost, and is known to be among the {@link #unclaimed} ones. A leaf that is an
     * older version of itself may lead to some blocks in the wrong places: then what it doesn't lead to may be anywhere.
     */
    private boolean isPlaceLost(ArrayMap map, long index, boolean hasOthers) {
        return unclaimed != null
                && unclaimed.isComplete()
                && map.block(index) == ArrayMap.LOST
                && !map.isGone(index)
                && !(contradicted && hasOthers && map.isStrayed(index));
    }

    /**
     * Makes the eras in {@link #block} what the new array holds; returns how many became the current one.
     *
     * @param most in place of lost ones, or null for the current era
     */
    private int adjust(int usable, int count, int inWindow, int[] most) {
        ArrayBlock eras = new ArrayBlock().wrap(block, 0);
        int widened = most == null ? count - usable : 0;
        for (int i = 0; i < count; i++) {
            long lost = most == null ? currentEra : Integer.toUnsignedLong(most[i]);
            long era = i < usable ? Integer.toUnsignedLong(eras.valueInt(i)) : lost;
            if (era > currentEra) {
                era = currentEra;
                widened++;
            }
            long orphan = Integer.toUnsignedLong(orphaned[inWindow + i]);
            eras.valueInt(i, (int) Math.max(Math.max(era, orphan), mergedUpTo));
        }
        return widened;
    }
}
