// SPDX-License-Identifier: Apache-2.0
/**
 * What is known of damaged metadata, without a judgement: for each block what it is, the count that the space map stores and
 * the references that walks have found ({@link org.dmera.core.evidence.BlockUse}); the broken rules and the lost parts
 * ({@link org.dmera.core.evidence.DamageLog}); and what is in use and claimed by nobody.
 *
 * <p>The walks are those of {@code read}, with listeners that collect and go on. Check, mend and salvage all stand on this, in
 * that order, so that they judge from the same facts: arrows point down, {@code evidence ← check ← mend ← salvage ← repair}.
 */
package org.dmera.core.evidence;
