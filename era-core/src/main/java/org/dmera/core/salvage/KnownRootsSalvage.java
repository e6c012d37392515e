// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.SuperblockCheck;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.mend.TreeMender;
import org.dmera.core.mend.TreeSurvey;
import org.dmera.core.read.StoredCounts;

/** Salvages metadata whose roots are known; and what speaks for another state than the one that they lead to. */
final class KnownRootsSalvage extends Salvage {
    private final BlockDevice damaged;
    /**
     * Of the metadata as it is, before anything is mended, and by the superblock's own era: a later one, which the user may have
     * given, hides what is of another state.
     */
    final SalvageSurvey first;

    final KnownSizes sizes;
    private final boolean wereBlocksMoved;
    private final KnownRootsStream content;

    KnownRootsSalvage(BlockDevice damaged, Superblock damagedSuperblock, SalvageHints hints) throws IOException {
        super(new ArrayList<>());
        this.damaged = damaged;
        SalvageSurvey survey = survey(damaged, damagedSuperblock, hints);
        this.first = hints.currentEra() < 0 || damagedSuperblock.currentEra() >= TreeSurvey.IMPLAUSIBLE_ERA
                ? survey
                : survey(damaged, damagedSuperblock, hints.withCurrentEra(-1));
        damages.addAll(survey.log().kept());
        boolean isAnythingBeside = !first.besideTheTrees().isEmpty();
        TreeMender.Mended mended = damages.isEmpty() && !isAnythingBeside ? null : TreeMender.mend(damaged);
        this.wereBlocksMoved = mended != null && mended.isOnlyMoved();
        BlockDevice device = damaged;
        Superblock superblock = damagedSuperblock;
        if (mended != null) {
            device = mended.device();
            superblock = new SuperblockCheck(BlockReader.quiet(device, new BlockUse(1)), 0).read();
            survey = survey(device, superblock, hints);
            remarks.addAll(mended.remarks());
        }
        sizes = new KnownSizes(device, superblock, hints, survey, remarks);
        nrBlocks = sizes.nrBlocks;
        currentEra = sizes.currentEra;
        content = new KnownRootsStream(sizes, mended == null ? List.of() : mended.doubtful(), remarks);
    }

    private static SalvageSurvey survey(BlockDevice device, Superblock superblock, SalvageHints hints) {
        return SalvageSurvey.of(device, KnownSizes.plausible(device, superblock, hints));
    }

    private BlockUse table() {
        return first.reader().table();
    }

    private List<Damage> firstDamages() {
        return first.log().kept();
    }

    /**
     * Whether something else is in a place to which the superblock leads: it may have been written later. Not if blocks had
     * changed places, and nothing else was wrong.
     */
    boolean isContradicted() {
        return !wereBlocksMoved
                && (first.isContradicted() || firstDamages().stream().anyMatch(KnownRootsSalvage::isOtherContent));
    }

    /** Whether the superblock's own space map, if it doesn't contradict itself, counts the block as used. */
    boolean countsAsUsed(long blockNr) {
        return first.stored() != null && first.stored().count((int) blockNr) > 0;
    }

    /**
     * Whether the tree of writesets is of a later era than the superblock's state can have archived, and not all is
     * accounted for: a later state has come to the same block for its root, or its keys are wrong.
     */
    boolean areWritesetsAhead() {
        return first.trees().areWritesetsAhead() && !first.isWhole();
    }

    /** Whether the trees break no rule, whatever the space map counts. */
    boolean areFaultless() {
        return firstDamages().stream().noneMatch(damage -> damage.severity() == Severity.FATAL);
    }

    /** Whether a block to which the superblock leads, directly or not, can't be read as what it was written as. */
    boolean areBlocksBroken() {
        return Stream.concat(firstDamages().stream(), first.besideTheTrees().stream())
                .anyMatch(damage -> switch (damage.kind()) {
                    case UNREADABLE, BAD_CHECKSUM, WRONG_BLOCK_NUMBER -> true;
                    default -> false;
                });
    }

    /** Whether anything is wrong with what the superblock leads to, its space map and a held snapshot included. */
    boolean isAnythingWrong() {
        return !firstDamages().isEmpty()
                || !first.isWhole()
                || !first.isAllAccountedFor()
                || first.besideTheTrees().stream().anyMatch(damage -> damage.severity() == Severity.FATAL);
    }

    /**
     * Blocks to which the superblock's state leads, and which hold something of another kind. If another reference leads to
     * one for which that kind is right, or more lead there than the state's own space map counts, a reference is wrong, and
     * the block isn't named.
     */
    BitSet overwritten() {
        BitSet blocks = new BitSet();
        Map<Long, Long> references = Stream.concat(firstDamages().stream(), first.besideTheTrees().stream())
                .filter(this::isOfAnotherTree)
                .collect(Collectors.groupingBy(Damage::blockNr, Collectors.counting()));
        BlockUse table = table();
        StoredCounts counts = first.storedOfThisState();
        references.forEach((blockNr, wrong) -> {
            if (!table.isUsable(blockNr)) {
                return;
            }
            int b = blockNr.intValue();
            int counted = counts == null ? -1 : counts.count(b);
            int found = table.references(b);
            if (counted < 0 ? found <= wrong : counted > 0 && found <= counted) {
                blocks.set(b);
            }
        });
        return blocks;
    }

    /** Blocks beside the trees that can be read, and are wrong: who shares them is no witness. */
    BitSet wrongBesideTheTrees() {
        BitSet blocks = new BitSet();
        first.besideTheTrees().stream()
                .filter(damage -> isOtherContent(damage) && !isOfAnotherTree(damage))
                .mapToLong(Damage::blockNr)
                .filter(table()::isUsable)
                .forEach(b -> blocks.set((int) b));
        return blocks;
    }

    /** Whether the block holds something else that is as it should be. */
    private boolean isOfAnotherTree(Damage damage) {
        if (damage.kind() != DamageKind.BAD_HEADER) {
            return damage.kind() == DamageKind.WRONG_TYPE;
        }
        BTreeNode node = BlockReader.quiet(damaged, table()).node(damage.blockNr(), BlockReader.newBuffer());
        return node != null
                && (node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES)
                        || node.hasSaneShape(WritesetValue.BYTES)
                        || node.hasSaneShape(Integer.BYTES));
    }

    private static boolean isOtherContent(Damage damage) {
        return damage.severity() == Severity.FATAL
                && damage.kind() != DamageKind.BAD_CHECKSUM
                && damage.kind() != DamageKind.UNREADABLE;
    }

    @Override
    void send(MetadataVisitor visitor) throws IOException {
        content.stream(visitor);
    }
}
