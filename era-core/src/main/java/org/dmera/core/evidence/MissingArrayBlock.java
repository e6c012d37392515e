// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

/**
 * An array block to which no usable reference leads.
 *
 * @param tree the array's tree
 * @param root its root
 * @param key which of the array's blocks
 */
public record MissingArrayBlock(TreeSpec tree, long root, long key) {}
