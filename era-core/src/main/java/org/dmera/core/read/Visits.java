// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

/**
 * What is kept of the blocks that walks have visited: no walk enters a block twice, which bounds its time whatever leads in
 * circles, and blocks with two owners show. An answer that is not null is why a block isn't this walk's.
 */
public interface Visits {
    /** There is a reference to {@code blockNr}; {@code counted}: whether no walk has visited it before. */
    default Problem refer(long blockNr, boolean counted) {
        return null;
    }

    /** A node's block is to be read. */
    default Problem enter(long blockNr) {
        return null;
    }

    /** Whether no walk has visited it yet. */
    default boolean isNew(long blockNr) {
        return true;
    }

    /** The block is no node of this tree. */
    default void misfit(long blockNr) {}

    /** Whether others claim the block too. */
    default boolean isDoublyUsed(long blockNr) {
        return false;
    }

    /** The block has its place in the tree at {@code key}. */
    Problem use(long blockNr, long key);
}
