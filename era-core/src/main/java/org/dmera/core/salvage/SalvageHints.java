// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

/**
 * What the user knows about the metadata, for what can't be derived from it any more.
 *
 * @param dataBlockSizeSectors sectors in an origin block, or −1
 * @param nrBlocks origin blocks, or −1
 * @param currentEra the current era, or −1
 */
public record SalvageHints(long dataBlockSizeSectors, long nrBlocks, long currentEra) {
    /** Nothing is known. */
    public static final SalvageHints NONE = new SalvageHints(-1, -1, -1);

    /** The same with another era. */
    SalvageHints withCurrentEra(long era) {
        return new SalvageHints(dataBlockSizeSectors, nrBlocks, era);
    }
}
