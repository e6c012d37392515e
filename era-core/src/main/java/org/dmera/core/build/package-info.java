// SPDX-License-Identifier: Apache-2.0
/**
 * Builds a fresh metadata device from a stream of content: for restore, repair and generated metadata.
 *
 * <p>Blocks are given out one after the other and written in large runs, so nothing has to be remembered but the open
 * node of each tree level; every block has one reference. The superblock comes last, between two flushes: until it is
 * there, block 0 holds zeroes, and the device can't be taken for metadata.
 */
package org.dmera.core.build;
