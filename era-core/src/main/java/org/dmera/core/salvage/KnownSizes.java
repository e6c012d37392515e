// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.format.Eras;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.mend.TreeSurvey;
import org.dmera.core.read.ArrayWalker;

/**
 * The sizes and the current era of metadata whose superblock can be read: the superblock's, unless the user or the content
 * knows better. What {@link LostEras} is where the superblock is lost.
 */
final class KnownSizes {
    final BlockDevice device;
    final SalvageSurvey survey;
    /** The superblock, with what is taken for the sizes that it may have wrong: see {@link #plausible}. */
    final Superblock roots;

    final long dataBlockSizeSectors;
    final long nrBlocks;
    final long currentEra;
    /** The era that the superblock and its trees speak for, whatever the user has said. */
    long eraWithoutHint;
    /** The lowest current era that the era array and a held snapshot go with, or −1. */
    long leastEra;
    /** Whether that is later than the superblock's can be. */
    boolean isEraTooLow;

    private final Superblock superblock;
    /** The held snapshot's copy of the superblock, or null when there is none that can be read. */
    private final Superblock heldSnapshot;

    private final SalvageHints hints;

    /**
     * Decides them; {@code remarks} gets what was decided.
     *
     * @param survey of what the superblock leads to
     * @throws IOException when something can't be derived, or the hints would lose marks
     */
    KnownSizes(
            BlockDevice device, Superblock superblock, SalvageHints hints, SalvageSurvey survey, List<String> remarks)
            throws IOException {
        this.device = device;
        this.superblock = superblock;
        this.hints = hints;
        this.survey = survey;
        this.heldSnapshot = survey.heldSnapshot();
        this.roots = plausible(device, superblock, hints);
        this.dataBlockSizeSectors = blockSize();
        refuseToLeaveOut();
        this.nrBlocks = nrBlocks(remarks);
        this.currentEra = currentEra(roots.currentEra(), remarks);
    }

    /** The highest era of which there can be a writeset in the tree. */
    long lastArchived() {
        return Eras.lastArchived(currentEra, roots.hasCurrentWriteset());
    }

    /** What to go by: the superblock, and what the user knows better; 0 origin blocks when nobody knows how many. */
    static Superblock plausible(BlockDevice device, Superblock superblock, SalvageHints hints) {
        long stored = isPlausible(device, superblock) ? superblock.nrBlocks() : 0;
        ByteBuffer copy =
                BlockReader.newBuffer().put(0, superblock.buffer(), superblock.offset(), BlockDevice.BLOCK_BYTES);
        return new Superblock()
                .wrap(copy, 0)
                .nrBlocks(hints.nrBlocks() >= 0 ? hints.nrBlocks() : stored)
                .currentEra(hints.currentEra() >= 0 ? hints.currentEra() : superblock.currentEra());
    }

    /**
     * Whether there can be so many origin blocks: their eras have room on the device, or had room before it was cut off.
     * Else the era array shows its length itself.
     */
    private static boolean isPlausible(BlockDevice device, Superblock superblock) {
        long blocks = superblock.nrBlocks();
        return Limits.whyNoOrigin(blocks, superblock.dataBlockSizeSectors()) == null
                && Limits.whyNoRoomForEras(blocks, onceBlocks(device, superblock)) == null;
    }

    /** Blocks of the metadata device, before it was cut off perhaps. */
    static long onceBlocks(BlockDevice device, Superblock superblock) {
        return Math.max(device.sizeBlocks(), Math.min(superblock.spaceMapNrBlocks(), IndexBlock.MAX_METADATA_BLOCKS));
    }

    private long blockSize() throws IOException {
        List<Long> stored = new ArrayList<>(List.of(superblock.dataBlockSizeSectors()));
        if (heldSnapshot != null) {
            stored.add(heldSnapshot.dataBlockSizeSectors());
        }
        long sectors = Salvage.originBlockSize("the superblock", stored, hints.dataBlockSizeSectors());
        if (!Limits.isBlockSize(sectors)) {
            throw new IOException("the superblock's data_block_size is " + stored.get(0)
                    + " sectors, which can't be: say what it is with --block-size");
        }
        return sectors;
    }

    /** The checksum of {@code superblock} is right: unless its figures can't be, a lower one would lose marks. */
    private void refuseToLeaveOut() throws IOException {
        long era = superblock.currentEra();
        if (hints.currentEra() >= 0 && hints.currentEra() < era && era < TreeSurvey.IMPLAUSIBLE_ERA) {
            throw new IOException("the superblock is sound and is of era " + era + ", above --current-era "
                    + hints.currentEra() + ": what was written since would count as written before");
        }
        long size = superblock.nrBlocks();
        if (hints.nrBlocks() < 0 || hints.nrBlocks() >= size || !isPlausible(device, superblock)) {
            return;
        }
        BlockReader quiet = BlockReader.quiet(device, survey.trustTable());
        ArrayWalker.Length eras = ArrayMap.of(quiet, TreeSpec.live(Structure.ERA_ARRAY), superblock.eraArrayRoot(), 0)
                .length();
        if (eras.isEndUnknown() || eras.entries() > hints.nrBlocks()) {
            throw new IOException("the superblock is sound and has an origin of " + size + " blocks, above --nr-blocks "
                    + hints.nrBlocks() + ": what was written past that would be lost");
        }
    }

    private long nrBlocks(List<String> remarks) throws IOException {
        long stored = superblock.nrBlocks();
        ArrayWalker.Length eraArray = survey.trees().eraArray();
        if (hints.nrBlocks() >= 0) {
            Salvage.remarkLeftOut(hints.nrBlocks(), Math.max(eraArray.entries(), roots.nrBlocks()), remarks);
            return hints.nrBlocks();
        }
        if (stored > roots.nrBlocks() && eraArray.isEndUnknown()) {
            throw new IOException(
                    "the superblock's nr_blocks can't be right, and the end of the era array is lost: say how"
                            + " many blocks the origin has with --nr-blocks");
        }
        long extent = Math.min(eraArray.entries(), Limits.MAX_ORIGIN_BLOCKS);
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
    private long currentEra(long era, List<String> remarks) throws IOException {
        boolean hasCurrent = roots.hasCurrentWriteset();
        long archived = survey.trees().lastWriteset() + (hasCurrent ? 1 : 0);
        long evident = survey.trees().anyWriteset() && survey.trees().lastWriteset() >= 0 ? archived : -1;
        // Nothing confirms the superblock's era then. What was written last may be of any later one.
        long inArray = evident == superblock.currentEra() ? -1 : survey.trees().leastCurrentEra();
        long inSnapshot = heldSnapshot == null ? -1 : heldSnapshot.currentEra();
        if (inSnapshot >= TreeSurvey.IMPLAUSIBLE_ERA && inSnapshot > superblock.currentEra()) {
            // It is damage, or the era has gone round since the snapshot was taken.
            inSnapshot = -1;
        }
        leastEra = Math.max(inArray, inSnapshot);
        isEraTooLow = leastEra > Math.max(evident, superblock.currentEra());
        if (isEraTooLow && hints.currentEra() < 0) {
            throw new UnknownEraException(
                    "the superblock's current era can't be right, for "
                            + (inArray > inSnapshot
                                    ? "the era array holds era " + (inArray - (hasCurrent ? 1 : 0))
                                    : "the held snapshot is of era " + inSnapshot),
                    leastEra);
        }
        boolean isCorrected = hints.currentEra() >= 0 && superblock.currentEra() >= TreeSurvey.IMPLAUSIBLE_ERA;
        eraWithoutHint = Math.max(isCorrected ? 0 : superblock.currentEra(), evident);
        if (hints.currentEra() >= 0 && hints.currentEra() != superblock.currentEra()) {
            // Eras of the array above it would have to be lowered, and their marks would be lost.
            evident = Math.max(evident, leastEra);
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
}
