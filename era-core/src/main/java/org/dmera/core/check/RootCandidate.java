// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.util.ArrayList;
import java.util.List;
import org.dmera.core.format.Superblock;

/** Roots that belong together: what one space map counts as used, and nothing else refers to. */
final class RootCandidate {
    /** The index block of that space map, or 0 when no space map could be found. */
    final long indexBlock;

    final List<Long> writesetTrees = new ArrayList<>();
    final List<Long> eraArrays = new ArrayList<>();
    /** Bitsets that no writeset tree refers to: the current writeset, if all is well. */
    final List<Long> bitsets = new ArrayList<>();
    /** The copies of the superblock that snapshots hold. */
    final List<Superblock> copies = new ArrayList<>();

    /** Blocks that are in use, and can't be told what they are: one might have been a root. */
    int unreadable;

    RootCandidate(long indexBlock) {
        this.indexBlock = indexBlock;
    }

    /** Blocks that are in use, and broken, wherever they belong. */
    int broken;

    /** Whether any tree was found. */
    boolean isAnything() {
        return !writesetTrees.isEmpty() || !eraArrays.isEmpty() || !bitsets.isEmpty();
    }

    /** Whether exactly the roots are there that a superblock has, and nothing may have been overlooked. */
    boolean isWhole() {
        return writesetTrees.size() == 1 && eraArrays.size() == 1 && bitsets.size() <= 1 && unreadable == 0;
    }
}
