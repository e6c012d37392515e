// SPDX-License-Identifier: Apache-2.0
/** Takes an origin back to the state of a backup by writing only what was written since. */
package org.dmera.tools.backup.revert;
