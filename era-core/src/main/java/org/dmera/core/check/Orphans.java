// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.format.DamageKind;

/**
 * Parts with marks that the space map counts as used, and that have lost a reference. A leaked block is only lost space;
 * a part that is leaked may be a writeset or an era array whose reference has been lost, with the marks in it.
 */
final class Orphans {
    private Orphans() {}

    /** Adds whole subtrees to the report. */
    static void reportSubtrees(UnclaimedParts missed, DamageLog log) {
        for (UnclaimedParts.Content content : UnclaimedParts.Content.values()) {
            for (UnclaimedParts.Subtree subtree : missed.subtrees(content)) {
                report(log, structure(content), subtree.blockNr());
            }
        }
    }

    /** Adds single array blocks to the report. */
    static void reportUnattached(UnclaimedParts missed, DamageLog log) {
        for (UnclaimedParts.Content content : UnclaimedParts.Content.values()) {
            for (int blockNr : missed.unattached(content)) {
                report(log, structure(content), blockNr);
            }
        }
    }

    /** Adds that there are others, which can't be read. */
    static void reportUnknown(UnclaimedParts missed, DamageLog log) {
        if (missed.unknown() > 0) {
            log.add(
                    DamageKind.ORPHAN_TREE,
                    DamageLocation.of(
                            Structure.ERA_ARRAY, "", "every origin block counts as written in the current era"),
                    Damage.NO_BLOCK,
                    missed.unknown()
                            + " blocks are in use, can't be read, and a reference to each is missing; marks may"
                            + " be lost");
        }
    }

    private static Structure structure(UnclaimedParts.Content content) {
        return switch (content) {
            case ERAS -> Structure.ERA_ARRAY;
            case WORDS -> Structure.WRITESET;
            case WRITESETS -> Structure.WRITESET_TREE;
        };
    }

    private static void report(DamageLog log, Structure structure, long root) {
        log.add(
                DamageKind.ORPHAN_TREE,
                DamageLocation.of(structure, "", "its marks count as of the current era"),
                root,
                "a part with marks is in use, and a reference to it is missing; its marks may be lost");
    }
}
