// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.format.Superblock;

/** Roots that belong together: what one space map counts as used, and nothing else refers to. */
final class RootCandidate {
    /** The index block of that space map, or 0 when there is none. */
    final long indexBlock;

    final List<Long> writesetTrees = new ArrayList<>();
    final List<Long> eraArrays = new ArrayList<>();
    /** Bitsets that no writeset tree refers to: the current writeset, if all is well. */
    final List<Long> bitsets = new ArrayList<>();
    /** The copies of the superblock that snapshots hold. */
    final List<Superblock> copies = new ArrayList<>();

    /** Blocks that are in use, and of which nothing shows what they are: one might have been a root. */
    int unreadable;

    /** Whether a space map counts what belongs to it. */
    boolean isMapped;
    /** Whether it counts blocks as used to which nothing leads, beyond roots: each such block is named below. */
    boolean isLeaky;
    /** Array blocks to which nothing leads that can be read. */
    final List<Integer> unattached = new ArrayList<>();
    /** Whether any of them are of eras. */
    boolean hasUnattachedEras;
    /** Roots of unknown trees, and parts of arrays whose place is unknown. */
    int strays;

    RootCandidate(long indexBlock) {
        this.indexBlock = indexBlock;
    }

    /** The roots to which {@code superblock} leads. */
    static RootCandidate of(Superblock superblock) {
        RootCandidate state = new RootCandidate(superblock.spaceMapBitmapRoot());
        state.writesetTrees.add(superblock.writesetTreeRoot());
        state.eraArrays.add(superblock.eraArrayRoot());
        if (superblock.hasCurrentWriteset()) {
            state.bitsets.add(superblock.currentWritesetRoot());
        }
        return state;
    }

    /** Whether all to which {@code superblock} leads is among the roots: then it knows of no other marks. */
    boolean hasRootsOf(Superblock superblock) {
        return writesetTrees.contains(superblock.writesetTreeRoot())
                && eraArrays.contains(superblock.eraArrayRoot())
                && (!superblock.hasCurrentWriteset() || bitsets.contains(superblock.currentWritesetRoot()));
    }

    /** Blocks that are in use, and broken, wherever they belong. */
    int broken;

    /** Whether there is one of each root that a state has, that of the ref-count tree included. */
    boolean hasAllRoots;

    /** Of the blocks that the search watches, those that its space map counts as used. */
    final BitSet usedOfWatched = new BitSet();

    /** Whether exactly the roots are there that a superblock has, and nothing may have been overlooked. */
    boolean isWhole() {
        return writesetTrees.size() == 1
                && eraArrays.size() == 1
                && bitsets.size() <= 1
                && unreadable == 0
                && unattached.isEmpty()
                && strays == 0
                && !isLeaky;
    }

    /**
     * Whether marks may be in it to which nothing leads: then any origin block may have been written at any time. A single
     * broken block leaves what it led to behind, as further roots or unattached array blocks.
     */
    boolean areMarksAdrift() {
        if (broken > 1) {
            return !isWhole();
        }
        return strays > 0 || broken > 0 && eraArrays.isEmpty() && !hasUnattachedEras;
    }
}
