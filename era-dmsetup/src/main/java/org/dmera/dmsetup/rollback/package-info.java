// SPDX-License-Identifier: Apache-2.0
/**
 * {@code rollback}: a cache that survives the rollback of the volume beneath it. The kernel has the parts (passthrough
 * mode, the era device's record, {@code invalidate_cblocks}); this is the order that makes them right.
 */
package org.dmera.dmsetup.rollback;
