// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import org.dmera.core.format.DamageKind;

/**
 * Eras between which, or after which, the writeset tree has none. The kernel takes such trees: it digests the lowest
 * writeset that is there. They come from metadata snapshots, which hold no writeset of their own era: dumped, restored
 * and gone on with, that era never gets one. So a gap is damage only if something is in use that a writeset may have been
 * lost with: see {@code SpaceMapCheck.isAllAccountedFor}.
 *
 * @param path of the tree
 * @param from the first of the eras
 * @param last the last of them
 */
public record EraGap(String path, long from, long last) {
    /** Adds it to the report, as damage or as what it looks like. */
    void report(DamageLog log, boolean isLoss) {
        String eras = from == last ? "era " + from : "eras " + from + " to " + last;
        String consequence = isLoss ? "every origin block counts as written in the lost eras" : "";
        log.add(
                isLoss ? DamageKind.ERA_MISSING : DamageKind.ERA_WITHOUT_WRITESET,
                DamageLocation.of(Structure.WRITESET_TREE, path, consequence),
                Damage.NO_BLOCK,
                isLoss
                        ? (from == last ? "the writeset of " : "the writesets of ")
                                + eras
                                + (from == last ? " is missing" : " are missing")
                        : "there is no writeset of " + eras
                                + ", as after the restore of a metadata snapshot; nothing is in use that could be one");
    }
}
