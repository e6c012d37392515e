// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.util.ArrayList;
import java.util.List;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Remedy;
import org.dmera.core.format.Severity;
import org.dmera.core.read.TreeWalker;

/**
 * Collects what a check finds. Hostile metadata can break millions of rules: every one is counted, but only the first
 * of each kind are kept.
 */
public final class DamageLog {
    /** Findings of one kind that are kept; a report of more helps nobody. */
    private static final int MAX_KEPT_OF_A_KIND = 100;

    private static final int MAX_LOST_NODES = 100;

    /**
     * A btree node that can't be used, as a walk came to it: it is broken, or the reference to it is.
     *
     * @param tree whose node it is
     * @param at where it is, and which keys may be below it
     */
    public record LostNode(TreeSpec tree, TreeWalker.Lost at) {
        /** Whether it is all of its tree, as far as keys go. */
        public boolean isWholeTree() {
            return at.low() == 0 && at.last() == -1;
        }
    }

    /** The array block {@code key} of the array at {@code root}, to which no usable reference leads. */
    public record MissingArrayBlock(TreeSpec tree, long root, long key) {}

    private record EraGap(String path, long from, long last) {}

    private final List<Damage> kept = new ArrayList<>();
    private final long[] found = new long[DamageKind.values().length];
    private final List<LostNode> lostNodes = new ArrayList<>();
    private final List<MissingArrayBlock> lostEntries = new ArrayList<>();
    private final List<EraGap> eraGaps = new ArrayList<>();
    private boolean treesIncomplete;
    private boolean beyondAutoRepair;

    /** Records one finding about {@code blockNr}, or {@link Damage#NO_BLOCK}. */
    public void add(DamageKind kind, DamageLocation where, long blockNr, String detail) {
        add(kind, where, blockNr, 1, detail);
    }

    /** Records one finding about {@code nrBlocks} blocks from {@code blockNr} on. */
    public void add(DamageKind kind, DamageLocation where, long blockNr, long nrBlocks, String detail) {
        if (found[kind.ordinal()]++ < MAX_KEPT_OF_A_KIND) {
            kept.add(new Damage(kind, where.structure(), where.path(), blockNr, nrBlocks, detail, where.consequence()));
        }
        if (kind.severity() == Severity.FATAL && !where.structure().isSpaceMap()) {
            beyondAutoRepair |= kind.remedy() != Remedy.AUTO_REPAIR;
        }
    }

    /** Whether another finding of {@code kind} would be counted only: then this counts it, before an expensive text is made. */
    public boolean countsOnly(DamageKind kind) {
        if (found[kind.ordinal()] < MAX_KEPT_OF_A_KIND) {
            return false;
        }
        found[kind.ordinal()]++;
        return true;
    }

    /** A node can't be used: for whoever may want to put it together again. Blocks below it may be in use all the same. */
    public void lost(LostNode node) {
        treesIncomplete = true;
        if (lostNodes.size() <= MAX_LOST_NODES) {
            lostNodes.add(node);
        }
    }

    /** An array block is missed: likewise. */
    public void lost(MissingArrayBlock entry) {
        if (lostEntries.size() <= MAX_LOST_NODES) {
            lostEntries.add(entry);
        }
    }

    /**
     * The eras {@code from} to {@code last} have no writeset in the tree at {@code path}: {@link #judgeEraGaps} decides whether
     * that is damage.
     */
    public void addEraGap(String path, long from, long last) {
        if (eraGaps.size() < MAX_KEPT_OF_A_KIND) {
            eraGaps.add(new EraGap(path, from, last));
        }
    }

    /**
     * Reports eras between which, or after which, the writeset tree has none: as lost writesets, or as eras that never had one.
     * The kernel takes such trees: it digests the lowest writeset that is there. They come from metadata snapshots, which hold no
     * writeset of their own era: dumped, restored and gone on with, that era never gets one. So a gap is damage only if something
     * is in use that a writeset may have been lost with: see {@code SpaceMapCheck.isAllAccountedFor}.
     */
    public void judgeEraGaps(boolean areLosses) {
        for (EraGap gap : eraGaps) {
            boolean isOne = gap.from() == gap.last();
            String eras = isOne ? "era " + gap.from() : "eras " + gap.from() + " to " + gap.last();
            add(
                    areLosses ? DamageKind.ERA_MISSING : DamageKind.ERA_WITHOUT_WRITESET,
                    DamageLocation.of(
                            Structure.WRITESET_TREE,
                            gap.path(),
                            areLosses ? "every origin block counts as written in the lost eras" : ""),
                    Damage.NO_BLOCK,
                    areLosses
                            ? "the writeset" + (isOne ? " of " + eras + " is missing" : "s of " + eras + " are missing")
                            : "there is no writeset of " + eras
                                    + ", as after the restore of a metadata snapshot; nothing is"
                                    + " in use that could be one");
        }
        treesIncomplete |= areLosses && !eraGaps.isEmpty();
    }

    /** The array blocks to which no usable reference leads: the first of them. */
    public List<MissingArrayBlock> lostEntries() {
        return List.copyOf(lostEntries);
    }

    /** The nodes that can't be used; empty when there are too many of them for a remedy. */
    public List<LostNode> lostNodes() {
        return lostNodes.size() > MAX_LOST_NODES ? List.of() : List.copyOf(lostNodes);
    }

    /** Whether some part of a tree could not be read, so that blocks below it may be in use without our knowing. */
    public void treesIncomplete(boolean incomplete) {
        treesIncomplete = incomplete;
    }

    public boolean areTreesIncomplete() {
        return treesIncomplete;
    }

    /** Whether something fatal was found that a repair in place can't mend. */
    public boolean isBeyondAutoRepair() {
        return beyondAutoRepair;
    }

    /** How many of a kind there are so far. */
    public long found(DamageKind kind) {
        return found[kind.ordinal()];
    }

    public List<Damage> kept() {
        return List.copyOf(kept);
    }
}
