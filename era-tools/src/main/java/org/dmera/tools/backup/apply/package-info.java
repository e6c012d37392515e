// SPDX-License-Identifier: Apache-2.0
/**
 * Puts streams onto a target: which stream fits is judged from a small state file beside the target, each chunk is
 * verified before it is written, and an interrupted run is resumed by running it again.
 */
package org.dmera.tools.backup.apply;
