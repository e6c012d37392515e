// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

/**
 * A btree node that can't be used, as a walk came to it.
 *
 * @param blockNr where it is
 * @param tree whose node it is
 * @param low the lowest key that may be below it (u64)
 * @param last the highest (u64)
 */
record LostNode(long blockNr, TreeSpec tree, long low, long last) {
    /** Whether it is all of its tree, as far as keys go. */
    boolean isWholeTree() {
        return low == 0 && last == -1;
    }
}
