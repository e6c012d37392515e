// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.target;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * What a target sits on: a regular file, a block device, or another mapped device of the same engine.
 *
 * <p>I/O as in {@link Target}, by byte offset within the backing; thread-safe.
 */
public interface Backing extends Closeable {
    /** How a table prints it: {@code major:minor}, or the absolute path of a plain file, which has none. */
    String display();

    /** dev_t as {@code major << 32 | minor}, or −1 for a plain file. */
    long device();

    /** Size in bytes when it was opened. */
    long sizeBytes();

    void read(long offsetBytes, ByteBuffer dst) throws IOException;

    void write(long offsetBytes, ByteBuffer src, int flags) throws IOException;

    void flush() throws IOException;

    void discard(long offsetBytes, long lengthBytes, int flags) throws IOException;

    void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException;

    /**
     * How many bytes from {@code offsetBytes} on, up to {@code lengthBytes}, are in the same state as the first: the
     * count when they hold data, the negated count when they are a hole that reads as zeroes.
     */
    long allocation(long offsetBytes, long lengthBytes) throws IOException;
}
