// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

/**
 * How eras (u32) compare, for everybody who asks when a block was last written.
 *
 * <p>The kernel digests a writeset into the era array before it takes the next one, so in what it leaves behind every
 * waiting writeset is later than the array's value. A repair that widens, or a dump that was edited, may have made the
 * array the later of the two. The higher era counts then: whoever asks what was written since learns of too much at worst.
 */
public final class Eras {
    /** The highest era there is; 0 follows. */
    public static final long HIGHEST = 0xFFFFFFFFL;

    private Eras() {}

    /** The highest era of which the writeset tree can hold a writeset, given whether the current one is open. */
    public static long lastArchived(long currentEra, boolean hasCurrent) {
        return hasCurrent ? currentEra - 1 & HIGHEST : currentEra;
    }

    /** The era in which a block was last written that was written in both. */
    public static int later(int a, int b) {
        return Integer.compareUnsigned(a, b) < 0 ? b : a;
    }
}
