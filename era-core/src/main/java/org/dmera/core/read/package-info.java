// SPDX-License-Identifier: Apache-2.0
/**
 * Reading of metadata: the writeset tree, bitsets and the era array, in order, with large reads.
 *
 * <p>It never writes, and it believes nothing: a pointer outside the device, a cycle, a tree of absurd depth or a block
 * that claims more entries than it can hold is a {@link org.dmera.core.read.Problem}. There is one walker of trees and one of
 * arrays, which know the rules; what a broken rule means is for their listeners. The scanners here end with a {@link
 * org.dmera.core.format.DamagedMetadataException}, the check collects, and salvage widens what is lost. So what a check
 * finds clean, every reader reads. Memory is constant: one buffer a tree level and one for array blocks.
 */
package org.dmera.core.read;
