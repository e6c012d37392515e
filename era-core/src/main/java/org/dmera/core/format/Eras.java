// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

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

    /**
     * {@return the highest era of which the writeset tree can hold a writeset} None is before era 0: what was written before the
     * era went round would seem to be later than what is written now.
     *
     * @param currentEra u32
     * @param hasCurrent whether the current era's writeset is open, so that it isn't in the tree yet
     */
    public static long lastArchived(long currentEra, boolean hasCurrent) {
        return hasCurrent ? Math.max(0, currentEra - 1) : currentEra;
    }

    /**
     * Requires the values of an era array to be eras that can have been digested. One that is too high may be a block that was
     * swapped for another's, and would hide blocks from those who ask for what was written before an era.
     *
     * @param eras little-endian, packed u32
     * @param offset where in it the first begins, in bytes
     * @param count how many
     * @param firstBlock the origin block of the first
     * @param lastArchived the highest era allowed: see {@link #lastArchived}
     * @throws DamagedMetadataException naming the first that is too high
     */
    public static void requireDigested(ByteBuffer eras, int offset, int count, long firstBlock, long lastArchived)
            throws DamagedMetadataException {
        long below = 0;
        for (int i = 0; i < count; i++) {
            below |= lastArchived - (eras.getInt(offset + Integer.BYTES * i) & HIGHEST);
        }
        for (int i = 0; i < count && below < 0; i++) {
            long era = eras.getInt(offset + Integer.BYTES * i) & HIGHEST;
            if (era > lastArchived) {
                throw notDigested(firstBlock + i, era, lastArchived);
            }
        }
    }

    /**
     * {@return what to throw when the era array has an era that can't have been digested}
     *
     * @param block the origin block
     * @param era that the array has for it
     * @param lastArchived the highest era allowed
     */
    public static DamagedMetadataException notDigested(long block, long era, long lastArchived) {
        return new DamagedMetadataException(
                DamageKind.ERA_ABOVE_CURRENT,
                -1,
                "era array",
                "era array: it has era " + era + " for block " + block + ", the last that can have been digested is "
                        + lastArchived);
    }

    /**
     * {@return the era in which a block was last written that was written in both}
     *
     * @param a u32
     * @param b u32
     */
    public static int later(int a, int b) {
        return Integer.compareUnsigned(a, b) < 0 ? b : a;
    }
}
