// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.dmera.core.evidence.Damage;

/** Findings for people: each once, and those of blocks in a row in one line. */
final class DamageRanges {
    private DamageRanges() {}

    /** The findings by structure, kind and block; the path of a range is that of its first block. */
    static List<Damage> join(Collection<Damage> damages) {
        List<Damage> sorted = damages.stream()
                .sorted(Comparator.comparing(Damage::structure)
                        .thenComparing(Damage::kind)
                        .thenComparing(Damage::detail)
                        .thenComparingLong(Damage::blockNr))
                .toList();
        List<Damage> joined = new ArrayList<>();
        for (Damage damage : sorted) {
            Damage last = joined.isEmpty() ? null : joined.get(joined.size() - 1);
            if (last == null || !isSame(last, damage) || damage.blockNr() > last.blockNr() + last.nrBlocks()) {
                joined.add(damage);
            } else {
                joined.set(joined.size() - 1, last.upTo(damage.blockNr() + damage.nrBlocks()));
            }
        }
        return List.copyOf(joined);
    }

    private static boolean isSame(Damage a, Damage b) {
        return a.kind() == b.kind()
                && a.structure() == b.structure()
                && a.detail().equals(b.detail())
                && a.consequence().equals(b.consequence())
                && a.blockNr() != Damage.NO_BLOCK
                && b.blockNr() != Damage.NO_BLOCK;
    }
}
