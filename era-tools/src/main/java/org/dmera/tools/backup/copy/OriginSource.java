// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/** Where the data of a copy come from; read by many threads at once. */
public interface OriginSource extends Closeable {
    /** {@return the origin itself, which nothing that is written may replace} */
    Path path();

    /** {@return how many bytes can be read} */
    long sizeBytes();

    /**
     * {@return where the hole ends that a byte lies in, which need not be read to know that it is zero; {@code offset} itself when
     * it lies in none} Both are aligned, but for the origin's end. For one thread.
     *
     * @param offset in bytes
     * @throws IOException when it can't be found out
     */
    default long holeUntil(long offset) throws IOException {
        return offset;
    }

    /**
     * {@return where the next hole begins behind a byte that lies in none; aligned; the origin's end if there is none}
     *
     * @param offset in bytes
     * @throws IOException when it can't be found out
     */
    default long dataUntil(long offset) throws IOException {
        return sizeBytes();
    }

    /**
     * Reads a part of the origin.
     *
     * @param offset in bytes, a multiple of {@link OriginReader#ALIGNMENT_BYTES}
     * @param length in bytes
     * @param into its memory is aligned likewise, and it has room for the length rounded up to that
     * @param at the index to read to, a multiple likewise
     * @throws IOException that says what could not be read, and where
     */
    void read(long offset, int length, ByteBuffer into, int at) throws IOException;
}
