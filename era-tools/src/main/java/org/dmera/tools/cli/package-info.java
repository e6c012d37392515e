// SPDX-License-Identifier: Apache-2.0
/**
 * What every command line has in common: the table of options, its parser, the streams, exit codes, help. Nothing in
 * here knows metadata, and nothing on the way of a right command line loads a library.
 */
package org.dmera.tools.cli;
