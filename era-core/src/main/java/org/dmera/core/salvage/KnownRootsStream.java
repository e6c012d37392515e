// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.mend.TreeMender;
import org.dmera.core.read.BlockVerdict;

/**
 * Streams metadata whose roots are known.
 *
 * <p>What is lost is widened, never narrowed: a lost part of a bitset has every bit set, a lost part of the era array
 * holds the current era. When whole writesets are lost, up to era H say, the era array gets H as its least value, and the
 * writesets up to H are left out, for they add nothing.
 */
final class KnownRootsStream {
    private final KnownSizes sizes;
    private final Superblock superblock;
    private final SalvageSurvey survey;
    private final long nrBlocks;
    private final long currentEra;
    private final long mergedUpTo;
    /** In which era the blocks of {@link #unclaimed} bitsets count as written. */
    private final long orphanEra;

    private final List<String> remarks;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final BlockReader reader;

    /** What has lost its reference. */
    private final UnclaimedMarks unclaimed;
    /** Whether some references lead to older versions of what belongs there. */
    private final boolean contradicted;

    private final List<TreeMender.Doubtful> doubtfulPlaces;
    private final boolean areWritesetsLost;

    /** What the {@link #unclaimed} parts record. */
    private final EraWindow orphaned = new EraWindow();

    /**
     * Decides how to widen.
     *
     * @param doubtfulPlaces array blocks that were given a place, and may belong elsewhere
     * @param remarks gets what was decided
     */
    KnownRootsStream(KnownSizes sizes, List<TreeMender.Doubtful> doubtfulPlaces, List<String> remarks) {
        this.sizes = sizes;
        this.superblock = sizes.roots;
        this.survey = sizes.survey;
        this.nrBlocks = sizes.nrBlocks;
        this.currentEra = sizes.currentEra;
        this.remarks = remarks;
        this.reader = new BlockReader(
                sizes.device, survey.trustTable(), new DamageLog(), new BlockVerdict((int) superblock.currentEra()));
        this.doubtfulPlaces = doubtfulPlaces;
        List<Integer> doubted = survey.doubted();
        doubtfulPlaces.forEach(place -> doubted.add(place.blockNr()));
        this.unclaimed = new UnclaimedMarks(sizes.device, survey, doubted);
        this.contradicted = survey.isContradicted();
        if (unclaimed.isAnything()) {
            remarks.add("parts that are in use, and to which no reference leads, are taken for lost ones");
        }
        long lostUpTo = survey.lostUpTo(sizes.lastArchived());
        this.areWritesetsLost = lostUpTo >= 0;
        boolean isAllThere = unclaimed.isComplete() && !contradicted;
        if (contradicted && !unclaimed.isComplete()) {
            // References lead to older versions, and what they should lead to can't be read.
            this.orphanEra = currentEra;
            this.mergedUpTo = currentEra;
        } else if (lostUpTo >= 0 && survey.trees().firstWriteset() > lostUpTo && isAllThere) {
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

    void stream(MetadataVisitor visitor) throws IOException {
        visitor.superblock(sizes.dataBlockSizeSectors, nrBlocks, currentEra);
        if (mergedUpTo >= 0) {
            remarks.add("writesets are lost: every origin block counts as written in era " + mergedUpTo
                    + ", and the writesets up to that one are merged into the era array");
        }
        streamWritesets(visitor);
        if (superblock.hasCurrentWriteset() && currentEra > mergedUpTo) {
            streamWriteset(
                    Structure.CURRENT_WRITESET,
                    currentEra,
                    superblock.currentWritesetNrBits(),
                    superblock.currentWritesetRoot(),
                    visitor);
        }
        streamEraArray(visitor);
        visitor.end();
    }

    private void streamWritesets(MetadataVisitor visitor) throws IOException {
        try {
            Walk.writesets(reader, superblock.writesetTreeRoot(), (era, nrBits, root, counted) -> {
                if (Long.compareUnsigned(era, sizes.lastArchived()) <= 0 && era > mergedUpTo) {
                    streamWriteset(Structure.WRITESET, era, nrBits, root, visitor);
                }
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private void streamWriteset(Structure structure, long era, long storedBits, long root, MetadataVisitor visitor)
            throws IOException {
        boolean sizeLost = storedBits > Limits.MAX_ORIGIN_BLOCKS
                || storedBits / Long.SIZE / ArrayBlock.WORDS_PER_BLOCK
                        > KnownSizes.onceBlocks(sizes.device, superblock);
        long sound = sizeLost ? 0 : storedBits;
        long soundWords = (sound + Long.SIZE - 1) / Long.SIZE;
        ArrayMap map = ArrayMap.of(reader, TreeSpec.live(structure, era), root, soundWords);
        long nrBits = sound;
        long last = sound / Long.SIZE / ArrayBlock.WORDS_PER_BLOCK;
        if (sizeLost || map.length().isLonger()) {
            // The bitset goes on past the end that is stored: what lies there may be marks.
            nrBits = Math.max(sound, nrBlocks);
        } else if (reader.hasBitsPastEnd(sound, last, map.block(last), map.usable(last))) {
            // Nobody sets such bits: it is the last block of another bitset, or of one of another size.
            map.gone(last, last + 1);
            nrBits = Math.max(sound, Math.min(nrBlocks, soundWords * Long.SIZE));
        }
        visitor.beginWriteset(era, nrBits);
        long widened = streamBits(map, soundWords, nrBits, visitor);
        visitor.endWriteset();
        if (widened > 0) {
            remarks.add(
                    "writeset of era " + era + ": " + widened + " origin blocks of lost parts count as written in it");
        }
    }

    /**
     * What is lost of a bitset comes out with every bit set, or with those that any part has that may belong there; returns
     * how many bits that are.
     *
     * @param soundWords words that the bitset should have had
     * @param nrBits bits that come out; those past the sound words are lost
     */
    private long streamBits(ArrayMap map, long soundWords, long nrBits, MetadataVisitor visitor) throws IOException {
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        long widened = 0;
        for (long first = 0; first < words; first += ArrayBlock.WORDS_PER_BLOCK) {
            long index = first / ArrayBlock.WORDS_PER_BLOCK;
            int count = (int) Math.min(ArrayBlock.WORDS_PER_BLOCK, words - first);
            int sound = (int) Math.max(0, Math.min(count, soundWords - first));
            int usable = map.isGone(index) ? 0 : map.load(reader, index, sound, block);
            if (usable < count) {
                boolean isPlaceLost = isPlaceLost(map, index, soundWords > ArrayBlock.WORDS_PER_BLOCK);
                long[] most = isPlaceLost ? unclaimed.maxWords(index) : null;
                for (int i = usable; i < count; i++) {
                    block.putLong(ArrayBlock.VALUES + Long.BYTES * i, most != null && i < sound ? most[i] : -1L);
                }
                widened += Math.min(nrBits, (first + count) * Long.SIZE) - (first + usable) * Long.SIZE;
            }
            visitor.words(first, block, ArrayBlock.VALUES, count);
        }
        return widened;
    }

    private void streamEraArray(MetadataVisitor visitor) throws IOException {
        ArrayMap map = ArrayMap.of(reader, TreeSpec.live(Structure.ERA_ARRAY), superblock.eraArrayRoot(), nrBlocks);
        visitor.beginEraArray();
        long widened = 0;
        for (long first = 0; first < nrBlocks; first += ArrayBlock.ERAS_PER_BLOCK) {
            int count = (int) Math.min(ArrayBlock.ERAS_PER_BLOCK, nrBlocks - first);
            long index = first / ArrayBlock.ERAS_PER_BLOCK;
            int usable = map.isGone(index) || survey.trees().isGone(index) ? 0 : map.load(reader, index, count, block);
            int inWindow = (int) (first % EraWindow.SIZE);
            if (inWindow == 0) {
                orphaned.begin(first, (int) Math.min(EraWindow.SIZE, nrBlocks - first), currentEra);
                unclaimed.overlay(
                        orphaned,
                        orphanEra,
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
        return unclaimed.isComplete()
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
            long orphan = Integer.toUnsignedLong(orphaned.latest[inWindow + i]);
            eras.valueInt(i, (int) Math.max(Math.max(era, orphan), mergedUpTo));
        }
        return widened;
    }
}
