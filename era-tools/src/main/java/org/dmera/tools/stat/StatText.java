// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.util.List;
import java.util.Locale;
import org.dmera.core.read.MetadataRoots;
import org.dmera.tools.backup.ByteCount;

/** The facts as text for a terminal. */
final class StatText {
    private static final int BAR_COLUMNS = 24;
    private static final int METADATA_BLOCK_BYTES = 4096;

    private StatText() {}

    static String of(String device, MetadataFacts facts, boolean snapshot) {
        MetadataRoots roots = facts.roots();
        StringBuilder s = new StringBuilder();
        line(s, "Metadata", device + (snapshot ? " (the held metadata snapshot)" : ""));
        line(
                s,
                "Space",
                facts.metadataUsedBlocks() + " of " + Amounts.blocks(facts.metadataBlocks()) + " used ("
                        + Amounts.percent(facts.metadataUsedBlocks(), facts.metadataBlocks()) + " of "
                        + ByteCount.text(facts.metadataBlocks() * METADATA_BLOCK_BYTES) + ")"
                        + (facts.deviceBlocks() > facts.metadataBlocks()
                                ? ", the device has " + facts.deviceBlocks()
                                : ""));
        line(
                s,
                "Origin",
                ByteCount.text(facts.originBytes()) + ": " + Amounts.blocks(roots.nrBlocks()) + " of "
                        + ByteCount.text(facts.blockBytes()));
        line(s, "Current era", Long.toString(roots.currentEra()));
        if (!snapshot) {
            line(s, "Snapshot", roots.metadataSnap() == 0 ? "none held" : "held, at block " + roots.metadataSnap());
        }
        line(s, "Writesets", writesets(facts));
        long never = facts.histogram().never();
        line(
                s,
                "Never written",
                ByteCount.text(never * facts.blockBytes()) + " (" + Amounts.percent(never, roots.nrBlocks()) + ")");
        table(s, facts);
        return s.toString();
    }

    private static String writesets(MetadataFacts facts) {
        List<MetadataFacts.Writeset> list = facts.writesets();
        boolean open = facts.roots().hasCurrentWriteset();
        int archived = list.size() - (open ? 1 : 0);
        StringBuilder s = new StringBuilder();
        s.append(archived).append(" archived");
        if (archived > 0) {
            s.append(" (era ").append(list.get(0).era());
            if (archived > 1) {
                s.append(" to ").append(list.get(archived - 1).era());
            }
            s.append(')');
        }
        if (open) {
            s.append(", era ")
                    .append(facts.roots().currentEra())
                    .append("'s is open with ")
                    .append(Amounts.blocks(list.get(list.size() - 1).marked()));
        } else {
            s.append(", none open");
        }
        return s.toString();
    }

    private static void table(StringBuilder s, MetadataFacts facts) {
        List<EraRows.Row> rows = EraRows.of(facts.histogram());
        if (rows.isEmpty()) {
            return;
        }
        long most = 1;
        for (EraRows.Row row : rows) {
            most = Math.max(most, row.blocks());
        }
        s.append(String.format(
                Locale.ROOT, "%n%21s  %12s  %-" + BAR_COLUMNS + "s  %10s%n", "era", "last written", "", "since then"));
        for (EraRows.Row row : rows) {
            String eras = row.first() == row.last() ? Long.toString(row.first()) : row.first() + "-" + row.last();
            int columns = (int) Math.ceil((double) row.blocks() * BAR_COLUMNS / most);
            s.append(String.format(
                    Locale.ROOT,
                    "%21s  %12s  %-" + BAR_COLUMNS + "s  %10s %8s%n",
                    eras,
                    ByteCount.text(row.blocks() * facts.blockBytes()),
                    "#".repeat(columns),
                    ByteCount.text(row.since() * facts.blockBytes()),
                    Amounts.percent(row.since(), facts.roots().nrBlocks())));
        }
    }

    private static void line(StringBuilder s, String label, String value) {
        s.append(String.format(Locale.ROOT, "%-15s%s%n", label, value));
    }
}
