// SPDX-License-Identifier: Apache-2.0
/**
 * The era stream: a full copy or an increment of an origin as one file or pipe. One class knows one part of the layout,
 * which {@code era-stream(5)} documents byte by byte. All numbers are little-endian.
 *
 * <p>A stream is a header, chunks numbered from 0, and a footer. A chunk names extents of the origin in ascending order
 * and carries the data of those that are not zero. Every part has a CRC32C that is seeded with the stream's random id,
 * so that a part of another stream never fits; the footer counts the chunks, so that a truncated stream never passes.
 */
package org.dmera.tools.backup.stream;
