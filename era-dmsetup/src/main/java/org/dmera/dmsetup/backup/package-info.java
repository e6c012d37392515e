// SPDX-License-Identifier: Apache-2.0
/** era_backup: one command for the whole cycle of a backup, on the kernel's device or our engine's. */
package org.dmera.dmsetup.backup;
