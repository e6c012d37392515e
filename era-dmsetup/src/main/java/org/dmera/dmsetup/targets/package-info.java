// SPDX-License-Identifier: Apache-2.0
/** Target types: what a line of a table does with I/O, messages and status; and what targets sit on. */
package org.dmera.dmsetup.targets;
