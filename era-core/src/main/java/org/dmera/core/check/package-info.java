// SPDX-License-Identifier: Apache-2.0
/**
 * Every rule of the on-disk format as a check: the judge.
 *
 * <p>{@link org.dmera.core.check.MetadataChecker} reads the allocated part of a metadata device once, in device order and
 * on all cores that it is given, and keeps two bytes a block of what it saw. Then it walks the trees from the
 * superblock, counts who refers to what, and compares with the space map. What is wrong comes out as {@link
 * org.dmera.core.evidence.Damage} values. What can be done about it is for {@code mend}, {@code salvage} and {@code repair}.
 *
 * <p>Everything here expects hostile bytes: a walk enters no block twice, goes no deeper than the kernel would, and
 * believes no count before it has been compared with what fits into a block.
 */
package org.dmera.core.check;
