// SPDX-License-Identifier: Apache-2.0
/**
 * The front door for who writes backup software: what was written since an era, as byte ranges of the origin.
 *
 * <p>Everything else in this module is for the programs of this project, but for {@link org.dmera.core.format}.
 */
package org.dmera.core;
