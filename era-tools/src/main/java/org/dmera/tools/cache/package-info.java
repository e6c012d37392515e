// SPDX-License-Identifier: Apache-2.0
/** era_invalidate for a cache: which of its blocks hold something that was written since an era. */
package org.dmera.tools.cache;
