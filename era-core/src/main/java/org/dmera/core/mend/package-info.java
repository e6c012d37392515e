// SPDX-License-Identifier: Apache-2.0
/**
 * What is certain put right, as a view of the device: nodes made anew from their children, references led back, blocks that had
 * changed places, bits that had flipped. A check of the view has to find every count right, or nothing is mended.
 */
package org.dmera.core.mend;
