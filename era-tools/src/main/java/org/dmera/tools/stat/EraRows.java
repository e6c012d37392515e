// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.util.ArrayList;
import java.util.List;
import org.dmera.core.content.EraHistogram;

/**
 * A histogram cut down to what a screen holds: the newest eras one by one, because "since last night" is what people
 * ask, and the older ones in spans that double.
 */
final class EraRows {
    private static final int SINGLE = 12;

    /** Blocks last written in an era from {@code first} to {@code last}, and in {@code first} or later. */
    record Row(long first, long last, long blocks, long since) {}

    private EraRows() {}

    /** Newest first; era 0, which means never, is left out. */
    static List<Row> of(EraHistogram histogram) {
        List<Row> rows = new ArrayList<>();
        int bin = histogram.bins() - 1;
        long since = 0;
        int span = 1;
        while (bin > 0) {
            if (rows.size() >= SINGLE) {
                span *= 2;
            }
            int lowest = Math.max(1, bin - span + 1);
            long blocks = 0;
            long last = histogram.lastEra(bin);
            for (; bin >= lowest; bin--) {
                blocks += histogram.count(bin);
            }
            since += blocks;
            rows.add(new Row(histogram.firstEra(lowest), last, blocks, since));
        }
        return rows;
    }
}
