// SPDX-License-Identifier: Apache-2.0
/**
 * The engine's process: what it is started with, what it remembers, how it comes up and goes down. It puts the other
 * packages together, and nothing uses it but the command line.
 */
package org.dmera.dmsetup.engine;
