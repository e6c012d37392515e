// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

/**
 * The figures of a status line.
 *
 * @param usedBlocks metadata blocks in use; a block freed counts as used until the commit, one that is allocated counts at once
 * @param totalBlocks metadata blocks that the space map covers
 * @param currentEra 0 to 2^32 − 1
 * @param metadataSnap block of the held snapshot's superblock copy, 0 when none is held
 */
public record EraStats(long usedBlocks, long totalBlocks, long currentEra, long metadataSnap) {
    /** The parameters of an era target's status line, as in {@code 8 17/1024 3 -}. */
    public String statusLine() {
        return "8 " + usedBlocks + "/" + totalBlocks + " " + currentEra + " "
                + (metadataSnap == 0 ? "-" : Long.toString(metadataSnap));
    }
}
