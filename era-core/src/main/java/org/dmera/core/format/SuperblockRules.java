// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.util.ArrayList;
import java.util.List;

/**
 * What the fields of a superblock may be, each rule once. A broken rule is a text, "found X, expected Y"; whether it ends
 * the reading or goes into a report is for the reader to decide. Whether the roots lead anywhere is no question of the
 * superblock's. Sources: {@code sb_check} and the table's checks in {@code dm-era-target.c}.
 */
public final class SuperblockRules {
    private SuperblockRules() {}

    /**
     * {@return what speaks against a sealed block being a superblock of this format; with any of it, its fields mean nothing}
     *
     * @param superblock whose seal has been verified
     */
    public static List<String> formatProblems(Superblock superblock) {
        List<String> problems = new ArrayList<>(0);
        if (superblock.magic() != Superblock.MAGIC) {
            problems.add("magic is " + Long.toUnsignedString(superblock.magic()) + ", expected " + Superblock.MAGIC);
        }
        if (superblock.version() != Superblock.VERSION) {
            problems.add("version is " + Integer.toUnsignedString(superblock.version()) + ", expected "
                    + Superblock.VERSION);
        }
        return problems;
    }

    /**
     * {@return the sizes that can't be, in a superblock of this format}
     *
     * @param superblock whose {@link #formatProblems} are none
     * @param metadataBlocks 4096-byte blocks of the metadata device
     */
    public static List<String> sizeProblems(Superblock superblock, long metadataBlocks) {
        List<String> problems = new ArrayList<>(0);
        long metadataBlockSize = superblock.metadataBlockSizeSectors();
        if (metadataBlockSize != Superblock.METADATA_BLOCK_SIZE_SECTORS) {
            problems.add("metadata_block_size is " + metadataBlockSize + " sectors, expected "
                    + Superblock.METADATA_BLOCK_SIZE_SECTORS);
        }
        long blockSize = superblock.dataBlockSizeSectors();
        if (!Limits.isBlockSize(blockSize)) {
            problems.add("data_block_size is " + blockSize + " sectors, expected a multiple of 8 above 0");
        }
        String impossible = blockSize == 0 ? null : Limits.whyNoOrigin(superblock.nrBlocks(), blockSize);
        if (impossible == null) {
            impossible = Limits.whyNoRoomForEras(superblock.nrBlocks(), metadataBlocks);
        }
        if (impossible != null) {
            problems.add(impossible);
        }
        long bits = superblock.currentWritesetNrBits();
        if (superblock.currentWritesetRoot() != 0 && bits > Limits.MAX_ORIGIN_BLOCKS) {
            problems.add("the current writeset has " + bits + " bits, expected at most " + Limits.MAX_ORIGIN_BLOCKS);
        }
        return problems;
    }
}
