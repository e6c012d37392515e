// SPDX-License-Identifier: Apache-2.0
/**
 * Bulk reading of metadata for the tools: the writeset tree, bitsets and the era array, in order, with large reads.
 *
 * <p>It never writes, and it believes nothing: a pointer outside the device, a cycle, a tree of absurd depth or a block
 * that claims more entries than it can hold ends the walk with a {@link org.dmera.core.format.DamagedMetadataException}.
 * Memory is constant: one buffer a tree level and one for array blocks.
 */
package org.dmera.core.read;
