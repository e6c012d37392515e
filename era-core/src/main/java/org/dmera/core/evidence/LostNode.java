// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import org.dmera.core.read.TreeWalker;

/**
 * A btree node that can't be used, as a walk came to it: it is broken, or the reference to it is.
 *
 * @param tree whose node it is
 * @param at where it is, and which keys may be below it
 */
public record LostNode(TreeSpec tree, TreeWalker.Lost at) {
    /** Whether it is all of its tree, as far as keys go. */
    public boolean isWholeTree() {
        return at.low() == 0 && at.last() == -1;
    }
}
