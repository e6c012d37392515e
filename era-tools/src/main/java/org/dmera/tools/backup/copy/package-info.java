// SPDX-License-Identifier: Apache-2.0
/** Makes streams: reads the changed ranges of an origin, several at a time, and writes them in order. */
package org.dmera.tools.backup.copy;
