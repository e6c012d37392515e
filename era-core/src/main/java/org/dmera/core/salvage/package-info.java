// SPDX-License-Identifier: Apache-2.0
/**
 * From damaged metadata to fresh: with known roots, or with the states that are found on the whole device. What is in doubt is
 * widened, so that no mark is lost.
 */
package org.dmera.core.salvage;
