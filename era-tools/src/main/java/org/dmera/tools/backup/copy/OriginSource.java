// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/** Where the data of a copy come from; read by many threads at once. */
public interface OriginSource extends Closeable {
    /** The origin itself, which nothing that is written may replace. */
    Path path();

    /** Size of what can be read. */
    long sizeBytes();

    /**
     * Where the hole ends that {@code offset} lies in, which need not be read to know that it is zero; {@code offset} itself
     * when it lies in none. Both are aligned, but for the origin's end. For one thread.
     */
    default long holeUntil(long offset) throws IOException {
        return offset;
    }

    /** Where the next hole begins behind {@code offset}, which lies in none; aligned. The origin's end if there is none. */
    default long dataUntil(long offset) throws IOException {
        return sizeBytes();
    }

    /**
     * Reads {@code length} bytes at {@code offset} to index {@code at} of {@code into}; offset, index and the buffer's memory
     * are multiples of {@link OriginReader#ALIGNMENT_BYTES}, and the buffer has room for the length rounded up to that.
     *
     * @throws IOException that says what could not be read, and where
     */
    void read(long offset, int length, ByteBuffer into, int at) throws IOException;
}
