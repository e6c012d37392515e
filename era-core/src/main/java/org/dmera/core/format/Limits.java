// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

/**
 * What can be, for every reader alike: metadata that the check finds within these limits are read by all of them. Sources:
 * the kernel's dm-era target and its persistent-data library.
 */
public final class Limits {
    /** Origin blocks, at most: the kernel refuses to load a table with more. */
    public static final long MAX_ORIGIN_BLOCKS = (1L << 31) - 1;

    /** Sectors of 512 bytes of any block device: its size in bytes is a signed 64-bit number. */
    public static final long MAX_ORIGIN_SECTORS = 1L << 54;

    /** Levels of a btree, root and leaves included: the kernel can't delete a tree that has more. */
    public static final int MAX_TREE_LEVELS = 64;

    /** Metadata blocks of an array, at most: the eras of the largest origin take so many, and the bits of one fewer. */
    public static final long MAX_ARRAY_BLOCKS = eraArrayBlocks(MAX_ORIGIN_BLOCKS);

    private Limits() {}

    /**
     * {@return whether an origin block can have that size}
     *
     * @param sectors of 512 bytes
     */
    public static boolean isBlockSize(long sectors) {
        return sectors > 0 && sectors <= 0xFFFFFFFFL && sectors % 8 == 0;
    }

    /**
     * {@return how many metadata blocks the values of an era array fill}
     *
     * @param nrBlocks origin blocks, 0 to 2^32 − 1
     */
    public static long eraArrayBlocks(long nrBlocks) {
        return (nrBlocks + ArrayBlock.ERAS_PER_BLOCK - 1) / ArrayBlock.ERAS_PER_BLOCK;
    }

    /**
     * {@return why an origin can't be of that size, as "found X, expected Y"; null when it can}
     *
     * @param nrBlocks origin blocks
     * @param dataBlockSizeSectors sectors of 512 bytes (u32) in a block, not 0
     */
    public static String whyNoOrigin(long nrBlocks, long dataBlockSizeSectors) {
        if (nrBlocks < 0 || nrBlocks > MAX_ORIGIN_BLOCKS) {
            return "nr_blocks is " + Long.toUnsignedString(nrBlocks) + ", expected at most " + MAX_ORIGIN_BLOCKS;
        }
        // Below 2^31 times below 2^32: no overflow.
        if (nrBlocks * dataBlockSizeSectors > MAX_ORIGIN_SECTORS) {
            return "nr_blocks is " + nrBlocks + ", expected at most " + MAX_ORIGIN_SECTORS / dataBlockSizeSectors
                    + " blocks of " + dataBlockSizeSectors + " sectors, for no device has more than 2^63 bytes";
        }
        return null;
    }

    /**
     * {@return why a device can't hold the era array of an origin, or null when it can} Every array block is a block of its own,
     * so that what a size costs in memory stays in proportion to the device.
     *
     * @param nrBlocks origin blocks, 0 to 2^32 − 1
     * @param metadataBlocks 4096-byte blocks of the metadata device
     */
    public static String whyNoRoomForEras(long nrBlocks, long metadataBlocks) {
        return eraArrayBlocks(nrBlocks) <= metadataBlocks
                ? null
                : "nr_blocks is " + nrBlocks + ", whose eras take " + eraArrayBlocks(nrBlocks)
                        + " metadata blocks, the device has " + metadataBlocks;
    }
}
