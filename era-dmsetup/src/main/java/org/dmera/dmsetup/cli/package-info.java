// SPDX-License-Identifier: Apache-2.0
/**
 * The command line: options as dmsetup 1.02.185 reads them, a class for each group of commands that builds calls and
 * prints answers, and knows no socket.
 */
package org.dmera.dmsetup.cli;
