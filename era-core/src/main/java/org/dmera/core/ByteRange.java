// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

/**
 * Part of an origin device.
 *
 * @param offset where it begins, in bytes
 * @param length its length in bytes, more than 0; what is past the end of an origin whose last block is a part of one counts,
 *     too
 */
public record ByteRange(long offset, long length) {}
