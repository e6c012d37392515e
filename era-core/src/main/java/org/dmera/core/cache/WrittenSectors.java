// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.cache;

import java.io.IOException;
import java.util.List;
import org.dmera.core.content.BlockSet;

/**
 * Which sectors of a cache's origin lie on blocks of the era device that were written: the set of written blocks, seen
 * through the linear layers between the two.
 */
public final class WrittenSectors {
    /**
     * A stretch of the cache's origin and where it lies on the era device.
     *
     * @param originSector where it begins on the cache's origin
     * @param lengthSectors its length
     * @param eraSector where it begins on the era device
     */
    public record Extent(long originSector, long lengthSectors, long eraSector) {
        /** @throws IllegalArgumentException for a negative begin, a length below 1, or an end past 2^63 */
        public Extent {
            if (originSector < 0
                    || eraSector < 0
                    || lengthSectors < 1
                    || lengthSectors > Long.MAX_VALUE - Math.max(originSector, eraSector)) {
                throw new IllegalArgumentException("no extent: " + originSector + ", " + lengthSectors + " sectors, at "
                        + eraSector + " of the era device");
            }
        }

        long originEnd() {
            return originSector + lengthSectors;
        }
    }

    private final BlockSet written;
    private final long blockSizeSectors;
    private final Extent[] extents;

    /**
     * @param written blocks of the era device
     * @param blockSizeSectors their size
     * @param extents of the cache's origin, ascending, without gaps, from sector 0 on
     */
    public WrittenSectors(BlockSet written, long blockSizeSectors, List<Extent> extents) {
        this.written = written;
        this.blockSizeSectors = blockSizeSectors;
        this.extents = extents.toArray(new Extent[0]);
        long expected = 0;
        for (Extent extent : this.extents) {
            if (extent.originSector() != expected) {
                throw new IllegalArgumentException(
                        "an extent begins at sector " + extent.originSector() + ", expected " + expected);
            }
            expected = extent.originEnd();
            if (extent.eraSector() + extent.lengthSectors() > written.nrBlocks() * blockSizeSectors) {
                throw new IllegalArgumentException("an extent reaches to sector "
                        + (extent.eraSector() + extent.lengthSectors()) + " of the era device, whose metadata has "
                        + written.nrBlocks() + " blocks of " + blockSizeSectors + " sectors");
            }
        }
    }

    /**
     * A cache whose origin begins at sector {@code offsetSectors} of the era device and reaches to its end at most.
     *
     * @throws IOException when that is past the device's end
     */
    public static WrittenSectors at(long offsetSectors, BlockSet written, long blockSizeSectors) throws IOException {
        long length = written.nrBlocks() * blockSizeSectors - offsetSectors;
        if (length < 1) {
            throw new IOException("the cache's origin can't begin at sector " + offsetSectors
                    + ": the era device has at most " + written.nrBlocks() * blockSizeSectors + " sectors");
        }
        return new WrittenSectors(written, blockSizeSectors, List.of(new Extent(0, length, offsetSectors)));
    }

    /** Sectors of the cache's origin that are known. */
    public long lengthSectors() {
        return extents.length == 0 ? 0 : extents[extents.length - 1].originEnd();
    }

    /**
     * Whether any sector of the origin from {@code begin} to below {@code end} lies on a block that was written. What
     * lies past the origin's end, in its last and shorter block, is no part of the question.
     */
    public boolean anyIn(long begin, long end) {
        int at = firstEndingAfter(begin);
        for (; at < extents.length && extents[at].originSector() < end; at++) {
            Extent extent = extents[at];
            long shift = extent.eraSector() - extent.originSector();
            long first = Math.max(begin, extent.originSector()) + shift;
            long last = Math.min(end, extent.originEnd()) + shift - 1;
            if (written.containsAny(first / blockSizeSectors, last / blockSizeSectors + 1)) {
                return true;
            }
        }
        return false;
    }

    private int firstEndingAfter(long sector) {
        int low = 0;
        int high = extents.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (extents[middle].originEnd() <= sector) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
