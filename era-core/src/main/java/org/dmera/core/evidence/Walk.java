// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.read.Problem;
import org.dmera.core.read.Visits;

/**
 * What walks of trees and of arrays have in common: which tree they name in reports, and what that tree claims of the blocks,
 * in the table of all claims. References are counted where the node that holds them is met for the first time; a node that
 * the live trees and the snapshot share is walked for each, but counted once.
 */
abstract class Walk implements DamageLocation, Visits {
    private static final int ANY_WALK = BlockUse.LIVE | BlockUse.SNAPSHOT | BlockUse.SPACE_MAP;

    final BlockReader reader;
    final TreeSpec spec;
    private final BlockUse table;
    private final int misfit;

    Walk(BlockReader reader, TreeSpec spec) {
        this.reader = reader;
        this.table = reader.table();
        this.spec = spec;
        this.misfit = switch (spec.valueBytes()) {
            case Long.BYTES -> BlockUse.NO_NODE_OF_8;
            case Integer.BYTES -> BlockUse.NO_NODE_OF_4;
            default -> BlockUse.NO_NODE_OF_12;
        };
    }

    /** The keys on the way from the root to what is visited. */
    abstract String keys();

    @Override
    public final Structure structure() {
        return spec.structure();
    }

    @Override
    public final String path() {
        return spec.path() + keys();
    }

    @Override
    public final String consequence() {
        return spec.consequence();
    }

    /** A rule is broken: goes into the report. */
    public final void problem(Problem problem) {
        if (problem.kind() == DamageKind.LEFT_OVER_ARRAY_BLOCK) {
            DamageLocation here = DamageLocation.of(structure(), path(), "the block is left out");
            reader.log().add(problem.kind(), here, problem.blockNr(), problem.detail());
        } else {
            // No block in particular is at fault where some are missing: then the array as a whole is.
            reader.report(problem, problem.blockNr() == Problem.NO_BLOCK ? spec : this);
        }
    }

    /** A node can't be used: for whoever may put it together again. */
    public final void lostNode(long blockNr, long low, long last, long holder, boolean isReference) {
        reader.log().lost(new LostNode(blockNr, spec, low, last, holder, isReference));
    }

    @Override
    public final Problem refer(long blockNr, boolean counted) {
        if (spec.walk() == BlockUse.SPACE_MAP && table.hasMark(blockNr, BlockUse.LIVE | BlockUse.SNAPSHOT)) {
            // Not counted: the block is the trees', and the space map that names it will be written anew.
            return doublyUsed(blockNr);
        }
        if (counted) {
            table.addReference(blockNr);
        }
        return null;
    }

    @Override
    public final Problem enter(long blockNr) {
        if (table.isOutdated(blockNr)) {
            return MisdirectedWrites.problem(blockNr);
        }
        if (table.hasMark(blockNr, misfit)) {
            return Problem.of(DamageKind.BAD_HEADER, blockNr, "no node of this tree");
        }
        if (!table.hasMark(blockNr, spec.walk() | BlockUse.DOUBLY_USED)) {
            return null;
        }
        if (couldBeOurs(blockNr)) {
            table.mark(blockNr, BlockUse.DOUBLY_USED);
        }
        return doublyUsed(blockNr);
    }

    /** Whether a block that is in use elsewhere fits here too, so that nobody knows whose it is. */
    private boolean couldBeOurs(long blockNr) {
        ByteBuffer other = BlockReader.newBuffer();
        return reader.tryRead(blockNr, other) == null
                && new BTreeNode().wrap(other, 0).hasSaneShape(spec.valueBytes());
    }

    @Override
    public final boolean isNew(long blockNr) {
        return !table.hasMark(blockNr, ANY_WALK);
    }

    @Override
    public final void misfit(long blockNr) {
        table.mark(blockNr, misfit);
    }

    @Override
    public final boolean isDoublyUsed(long blockNr) {
        return table.hasMark(blockNr, BlockUse.DOUBLY_USED);
    }

    @Override
    public final Problem use(long blockNr, long key) {
        return table.use(blockNr, spec.walk(), spec.place(key)) && !isDoublyUsed(blockNr) ? null : doublyUsed(blockNr);
    }

    private Problem doublyUsed(long blockNr) {
        return Problem.of(DamageKind.DOUBLY_USED, blockNr, table.whyDoubted(blockNr));
    }
}
