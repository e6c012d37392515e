// SPDX-License-Identifier: Apache-2.0
/**
 * The I/O path as its users see it: real NBD clients, file systems on attached devices, crashes, power cuts, failing
 * devices, and a soak.
 */
package org.dmera.tests.io;
