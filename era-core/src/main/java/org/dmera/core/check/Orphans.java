// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import org.dmera.core.evidence.Damage;
import org.dmera.core.evidence.DamageLocation;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.UnclaimedParts;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.format.DamageKind;

/**
 * Parts with marks that the space map counts as used, and that have lost a reference. A leaked block is only lost space;
 * a part that is leaked may be a writeset or an era array whose reference has been lost, with the marks in it.
 */
final class Orphans {
    private Orphans() {}

    /**
     * Adds whole subtrees to the report.
     *
     * @param areAllInDoubt whether single array blocks, and what can't be read, are findings too
     */
    static void report(UnclaimedParts missed, boolean areAllInDoubt, DamageLog log) {
        for (Content content : Content.values()) {
            for (UnclaimedParts.Subtree subtree : missed.subtrees(content)) {
                report(log, content, subtree.blockNr());
            }
        }
        if (!areAllInDoubt) {
            return;
        }
        for (Content content : Content.values()) {
            for (int blockNr : missed.unattached(content)) {
                report(log, content, blockNr);
            }
        }
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

    private static void report(DamageLog log, Content content, long root) {
        log.add(
                DamageKind.ORPHAN_TREE,
                DamageLocation.of(content.structure(), "", "its marks count as of the current era"),
                root,
                "a part with marks is in use, and a reference to it is missing; its marks may be lost");
    }
}
