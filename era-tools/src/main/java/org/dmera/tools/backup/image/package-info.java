// SPDX-License-Identifier: Apache-2.0
/**
 * What a chain of streams leaves on a target, read at any place without applying it: an index of where the chunks lie, and
 * the few that were read last.
 */
package org.dmera.tools.backup.image;
