// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.read.ArrayWalker;
import org.dmera.core.read.BlockVerdict;

/**
 * The trees that carry the marks, on behalf of the live superblock or of the snapshot: the writeset tree and each
 * writeset in it, the current writeset, the era array.
 */
final class EraTreesCheck implements Walk.WritesetVisitor {
    private final BlockReader reader;
    private final DamageLog log;
    private final Superblock superblock;
    private final int walk;
    private final TreeSpec tree;

    /** The era that should come next, or −1 while any may come. */
    private long nextEra = -1;

    private boolean anyWriteset;

    /** {@code walk}: {@link BlockUse#LIVE} or {@link BlockUse#SNAPSHOT}. */
    EraTreesCheck(BlockReader reader, Superblock superblock, int walk) {
        this.reader = reader;
        this.log = reader.log();
        this.superblock = superblock;
        this.walk = walk;
        this.tree = new TreeSpec(Structure.WRITESET_TREE, -1, walk);
    }

    void run() {
        Walk.tree(reader, tree, superblock.writesetTreeRoot(), this);
        checkLastEra();
        // The copy's current writeset belongs to the live target, which may have freed it.
        if (walk == BlockUse.LIVE && superblock.hasCurrentWriteset()) {
            walkBitset(
                    new TreeSpec(Structure.CURRENT_WRITESET, superblock.currentEra(), walk),
                    superblock.currentWritesetRoot(),
                    superblock.currentWritesetNrBits(),
                    true);
        }
        TreeSpec eraArray = new TreeSpec(Structure.ERA_ARRAY, -1, walk);
        Contents contents = new Contents(eraArray, 0);
        Walk.array(reader, eraArray, superblock.eraArrayRoot(), superblock.nrBlocks(), true, contents);
    }

    @Override
    public void writeset(long era, long nrBits, long root, boolean counted) {
        anyWriteset = true;
        checkEra(era);
        if (nrBits > Limits.MAX_ORIGIN_BLOCKS) {
            report(
                    DamageKind.BAD_FIELD,
                    "the writeset of era " + Long.toUnsignedString(era) + " has " + nrBits + " bits, expected at most "
                            + Limits.MAX_ORIGIN_BLOCKS,
                    "every origin block counts as written in this era");
        }
        walkBitset(new TreeSpec(Structure.WRITESET, era, walk), root, nrBits, counted);
    }

    @Override
    public void lost(long from, long last) {
        // The eras in the lost part are not missing: they have been reported.
        anyWriteset = true;
        nextEra = -1;
    }

    private void checkEra(long era) {
        if (era < 0 || era > superblock.lastArchived()) {
            report(
                    DamageKind.ERA_ABOVE_CURRENT,
                    "a writeset of era " + Long.toUnsignedString(era) + ", the highest that can be archived is "
                            + superblock.lastArchived(),
                    "the current era is raised");
        } else if (nextEra >= 0 && era != nextEra) {
            log.addEraGap(tree.path(), nextEra, era - 1);
        }
        nextEra = era + 1;
    }

    /** Digestion takes the lowest era first: when any writeset is left, the last one should be. */
    private void checkLastEra() {
        if (anyWriteset && nextEra >= 0 && nextEra <= superblock.lastArchived()) {
            log.addEraGap(tree.path(), nextEra, superblock.lastArchived());
        }
    }

    private void report(DamageKind kind, String detail, String consequence) {
        log.add(kind, DamageLocation.of(Structure.WRITESET_TREE, tree.path(), consequence), Damage.NO_BLOCK, detail);
    }

    private void walkBitset(TreeSpec spec, long root, long nrBits, boolean counted) {
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        Walk.array(reader, spec, root, words, counted, new Contents(spec, nrBits));
    }

    /** Looks for bits past the end of a bitset, and for eras that the live array can have by now, and a held snapshot's can't. */
    private final class Contents implements ArrayWalker.Visitor {
        private final TreeSpec spec;
        private final long nrBits;

        /** {@code nrBits}: of a bitset, else 0. */
        Contents(TreeSpec spec, long nrBits) {
            this.spec = spec;
            this.nrBits = nrBits;
        }

        @Override
        public void present(long index, long blockNr, int usable) {
            if (!reader.readsArrays()) {
                return;
            }
            short verdict = reader.verdict(blockNr);
            if (walk == BlockUse.SNAPSHOT
                    && BlockVerdict.isAboveHeld(verdict)
                    && !BlockVerdict.isAboveCurrent(verdict)) {
                String late = "it holds an era above the last that can have been digested when the snapshot was taken";
                log.add(DamageKind.ERA_ABOVE_CURRENT, spec, blockNr, late);
            }
            if (reader.hasBitsPastEnd(nrBits, index, blockNr, usable)) {
                DamageLocation here = DamageLocation.of(
                        spec.structure(), spec.path(), "the origin blocks of that part count as written in this era");
                log.add(DamageKind.BITS_PAST_END, here, blockNr, "bits are set past the last of " + nrBits);
            }
        }
    }
}
