// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

/**
 * Trees that the space map counts as used, root and all, and that nothing refers to any more. A leaked block is only lost
 * space; a whole leaked tree may be a writeset or an era array whose reference has been lost, with the marks in it.
 */
final class Orphans {
    private Orphans() {}

    /** What there is of them, given the references that the walks of all trees have found. */
    static RootCandidate find(BlockReader reader, StoredCounts counts) {
        BlockTable table = reader.table();
        return new RootFinder(reader).find(0, (from, end) -> {
            int b = counts.firstUsed(from, end);
            while (b < end && table.references(b) != 0) {
                b = counts.firstUsed(b + 1, end);
            }
            return b;
        });
    }

    /** Adds them to the report. */
    static void report(RootCandidate orphans, DamageLog log) {
        for (long root : orphans.writesetTrees) {
            report(log, Structure.WRITESET_TREE, root);
        }
        for (long root : orphans.bitsets) {
            report(log, Structure.WRITESET, root);
        }
        for (long root : orphans.eraArrays) {
            report(log, Structure.ERA_ARRAY, root);
        }
    }

    /** Adds single array blocks to the report. */
    static void report(MissedParts missed, DamageLog log) {
        for (int blockNr : missed.loose(MissedParts.Content.WORDS)) {
            report(log, Structure.WRITESET, blockNr);
        }
        for (int blockNr : missed.loose(MissedParts.Content.ERAS)) {
            report(log, Structure.ERA_ARRAY, blockNr);
        }
    }

    private static void report(DamageLog log, Structure structure, long root) {
        log.add(
                DamageKind.ORPHAN_TREE,
                structure,
                "",
                root,
                1,
                "a part with marks is in use, and nothing refers to it; its marks may be lost",
                "its marks count as of the current era");
    }
}
