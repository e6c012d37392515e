// SPDX-License-Identifier: Apache-2.0
/** {@code era_serve}: a chain of streams as read-only NBD exports, one for each state that it has led through. */
package org.dmera.dmsetup.serve;
