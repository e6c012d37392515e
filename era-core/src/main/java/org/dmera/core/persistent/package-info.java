// SPDX-License-Identifier: Apache-2.0
/**
 * The transactional engine: copy-on-write blocks, reference counts, btrees, arrays and bitsets, changed by the same
 * policies as the kernel's persistent-data library, so that the same operations leave the same bytes in every block
 * that is referred to.
 *
 * <p>Nothing that the last superblock can reach is ever overwritten: a block is allocated only when it was free at the
 * last commit, and a block of an earlier transaction is copied before it is changed. A commit therefore needs two
 * flushes and no log: one before the superblock is rewritten in place, so that everything it refers to is there, and
 * one after it.
 *
 * <p>Nothing here is thread-safe: one thread at a time works on a {@code TransactionManager} and what stands on it.
 */
package org.dmera.core.persistent;
