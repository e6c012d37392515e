// SPDX-License-Identifier: Apache-2.0
/**
 * The two channels of the control interface, kernel and engine, behind one method; the engine's end of the socket; and
 * the calls that clients make.
 */
package org.dmera.dmsetup.control;
