// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.util.Locale;

/** How amounts are written for people. */
final class Amounts {
    private Amounts() {}

    /** {@code 1 block}, {@code 2 blocks}. */
    static String blocks(long count) {
        return count + (count == 1 ? " block" : " blocks");
    }

    /** A share in percent. Only nothing is 0, and only the whole is 100. */
    static String percent(long part, long whole) {
        double share = whole == 0 ? 0 : 100.0 * part / whole;
        if (part > 0 && share < 0.01) {
            return "<0.01 %";
        }
        if (part < whole && share > 99.99) {
            return ">99.99 %";
        }
        return String.format(Locale.ROOT, share < 10 || share > 99 && part < whole ? "%.2f %%" : "%.1f %%", share);
    }
}
