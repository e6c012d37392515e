// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;

/**
 * The status of an era target: {@code <metadata block size> <used>/<total> <current era> <snapshot block or ->}.
 *
 * @param metadataBlockSectors size of a metadata block in sectors: 8
 * @param usedBlocks metadata blocks in use
 * @param totalBlocks metadata blocks in all
 * @param currentEra the era that writes are counted in
 * @param snapshotBlock the metadata block that a held snapshot's superblock is in, or −1
 */
public record EraStatus(
        int metadataBlockSectors, long usedBlocks, long totalBlocks, long currentEra, long snapshotBlock) {
    /** Reads the text after {@code start length era}; fails for {@code Error} and for what is not such a status. */
    public static EraStatus parse(String params) throws IOException {
        String[] words = params.trim().replace('/', ' ').split(" ", -1);
        if (words.length < 5) {
            throw new IOException("the era target's status is \"" + params.trim() + "\": its metadata has failed");
        }
        try {
            return new EraStatus(
                    Integer.parseInt(words[0]),
                    Long.parseLong(words[1]),
                    Long.parseLong(words[2]),
                    Long.parseLong(words[3]),
                    words[4].equals("-") ? -1 : Long.parseLong(words[4]));
        } catch (NumberFormatException e) {
            throw new IOException("not an era target's status: \"" + params + "\"", e);
        }
    }
}
