// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import org.dmera.core.format.Eras;
import org.dmera.core.format.Superblock;

/**
 * Where salvaging starts: a superblock, and what is taken for the sizes that it may have wrong.
 *
 * @param nrBlocks origin blocks, 0 when that isn't known
 * @param currentEra of its state
 */
public record SalvagedRoots(Superblock superblock, long nrBlocks, long currentEra) {
    /** Those of a superblock that is believed. */
    static SalvagedRoots of(Superblock superblock) {
        return new SalvagedRoots(superblock, superblock.nrBlocks(), superblock.currentEra());
    }

    /** Whether the current era's writeset is open. */
    public boolean hasCurrentWriteset() {
        return superblock.currentWritesetRoot() != 0;
    }

    /** The highest era that the era array may hold: that of an open writeset has not been digested. */
    long lastDigested() {
        return Eras.lastArchived(currentEra, hasCurrentWriteset());
    }
}
