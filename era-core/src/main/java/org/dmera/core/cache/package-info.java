// SPDX-License-Identifier: Apache-2.0
/**
 * The metadata of dm-cache, read only, as far as a cache on top of an era device needs it: which cache block holds which
 * origin block, and which of them hold something that was written since an era. That is what has to be invalidated after
 * the volume beneath was rolled back.
 */
package org.dmera.core.cache;
