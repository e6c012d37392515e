// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.read.Problem;
import org.dmera.core.read.Visits;

/**
 * What one tree claims of the blocks, in the table of all claims. References are counted where the node that holds them is
 * met for the first time; a node that the live trees and the snapshot share is walked for each, but counted once.
 */
final class TreeClaims implements Visits {
    private static final int ANY_WALK = BlockUse.LIVE | BlockUse.SNAPSHOT | BlockUse.SPACE_MAP;

    private final BlockReader reader;
    private final BlockUse table;
    private final TreeSpec spec;
    private final int misfit;

    TreeClaims(BlockReader reader, TreeSpec spec) {
        this.reader = reader;
        this.table = reader.table();
        this.spec = spec;
        this.misfit = spec.valueBytes() == Long.BYTES
                ? BlockUse.NO_NODE_OF_8
                : spec.valueBytes() == Integer.BYTES ? BlockUse.NO_NODE_OF_4 : BlockUse.NO_NODE_OF_12;
    }

    @Override
    public Problem refer(long blockNr, boolean counted) {
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
    public Problem enter(long blockNr) {
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
    public boolean isNew(long blockNr) {
        return !table.hasMark(blockNr, ANY_WALK);
    }

    @Override
    public void misfit(long blockNr) {
        table.mark(blockNr, misfit);
    }

    @Override
    public boolean isDoublyUsed(long blockNr) {
        return table.hasMark(blockNr, BlockUse.DOUBLY_USED);
    }

    @Override
    public Problem use(long blockNr, long key) {
        return table.use(blockNr, spec.walk(), spec.place(key)) && !isDoublyUsed(blockNr) ? null : doublyUsed(blockNr);
    }

    private Problem doublyUsed(long blockNr) {
        return Problem.of(DamageKind.DOUBLY_USED, blockNr, table.whyDoubted(blockNr));
    }
}
