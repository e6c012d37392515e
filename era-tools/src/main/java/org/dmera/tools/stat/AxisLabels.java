// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.LongToIntFunction;

/** What stands beside the cells of a map: round numbers, as many as can be read, and nothing in between. */
final class AxisLabels {
    /** The chart library can't draw an empty label. */
    private static final String NOTHING = " ";

    private static final int MAX_LABELS = 10;

    private AxisLabels() {}

    /**
     * Labels of {@code cells} cells along an axis of {@code sizeBytes}; {@code cellOf} says where a byte lies. Where cells are
     * few, each has the first number that lies in it; a single one has both ends.
     */
    static List<String> ofBytes(long sizeBytes, Scale scale, int cells, LongToIntFunction cellOf) {
        List<String> labels = blank(cells);
        long unit = (long) scale.bytes();
        if (cells == 1) {
            return List.of("0 to " + number(sizeBytes, unit, scale));
        }
        long step = 1;
        while (sizeBytes / step / MAX_LABELS >= 1) {
            step *= 2;
        }
        // Counted, as the next number after the last may be past 2^63.
        for (long i = 0; i <= (sizeBytes - 1) / step; i++) {
            int cell = cellOf.applyAsInt(i * step);
            if (labels.get(cell).equals(NOTHING)) {
                labels.set(cell, number(i * step, unit, scale));
            }
        }
        // Where it ends, unless another number is too near.
        if (sizeBytes % step == 0 || sizeBytes % step > step / 2) {
            labelLast(labels, number(sizeBytes, unit, scale));
        }
        return labels;
    }

    /** Labels of {@code cells} cells along an axis of the eras from 1 to {@code lastEra}. */
    static List<String> ofEras(long lastEra, int cells, LongToIntFunction cellOf) {
        List<String> labels = blank(cells);
        long step = 1;
        for (int i = 0; lastEra / step > MAX_LABELS; i++) {
            // 1, 2, 5, 10, 20, 50 …
            step = step * (i % 3 == 1 ? 5 : 2) / (i % 3 == 1 ? 2 : 1);
        }
        for (long era = step; era <= lastEra; era += step) {
            labels.set(cellOf.applyAsInt(era), Long.toString(era));
        }
        if (lastEra % step > step / 2) {
            labelLast(labels, Long.toString(lastEra));
        }
        return labels;
    }

    private static String number(long bytes, long unit, Scale scale) {
        return bytes % unit == 0
                ? Long.toString(bytes / unit)
                : String.format(Locale.ROOT, "%.3f", bytes / scale.bytes()).replaceAll("\\.?0+$", "");
    }

    private static void labelLast(List<String> labels, String text) {
        int last = labels.size() - 1;
        if (last >= 0 && labels.get(last).equals(NOTHING)) {
            labels.set(last, text);
        }
    }

    private static List<String> blank(int cells) {
        List<String> labels = new ArrayList<>(cells);
        for (int i = 0; i < cells; i++) {
            labels.add(NOTHING);
        }
        return labels;
    }
}
