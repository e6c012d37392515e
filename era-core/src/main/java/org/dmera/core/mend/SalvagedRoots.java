// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import org.dmera.core.format.Superblock;

/** Where salvaging starts: the fields of a superblock that lead to marks. Sizes of −1 are not known. */
public record SalvagedRoots(
        long dataBlockSizeSectors,
        long nrBlocks,
        long currentEra,
        long currentWritesetNrBits,
        long currentWritesetRoot,
        long writesetTreeRoot,
        long eraArrayRoot) {
    public static SalvagedRoots of(Superblock sb) {
        return new SalvagedRoots(
                sb.dataBlockSizeSectors(),
                sb.nrBlocks(),
                sb.currentEra(),
                sb.currentWritesetNrBits(),
                sb.currentWritesetRoot(),
                sb.writesetTreeRoot(),
                sb.eraArrayRoot());
    }
}
