// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import org.dmera.core.read.TreeWalker;

/**
 * A btree node that can't be used, as a walk came to it: it is broken, or the reference to it is.
 *
 * @param blockNr where it is, or where the reference leads (u64)
 * @param tree whose node it is
 * @param low the lowest key that may be below it (u64)
 * @param last the highest (u64)
 * @param holder the node that holds the reference, or {@link TreeWalker#NO_HOLDER} for the root of its tree
 * @param isReference whether it is for certain the reference that is wrong
 */
public record LostNode(long blockNr, TreeSpec tree, long low, long last, long holder, boolean isReference) {
    /** Whether it is all of its tree, as far as keys go. */
    public boolean isWholeTree() {
        return low == 0 && last == -1;
    }
}
