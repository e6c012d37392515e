// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * A metadata device: an array of 4096-byte blocks, numbered from 0.
 *
 * <p>Transfers are whole runs of blocks, as many as the buffer's remaining bytes hold; the buffer's remaining size must
 * be a multiple of {@link #BLOCK_BYTES}. Implementations may be called from several threads, each with a buffer of its
 * own. A write is durable only after {@link #flush()} has returned.
 */
public interface BlockDevice extends Closeable {
    /** Size of a metadata block in bytes: fixed by the on-disk format (metadata_block_size = 8 sectors). */
    int BLOCK_BYTES = 4096;

    /** What users call the device: the path that it was opened by, or null when it has no name. */
    default String name() {
        return null;
    }

    /** The whole blocks that the device holds; a partial block at its end does not count. */
    long sizeBlocks();

    /**
     * Reads {@code dst.remaining() / 4096} blocks from {@code firstBlock} on, and advances the buffer.
     *
     * @throws java.io.EOFException when the run reaches past the end of the device
     * @throws IOException with the block number in its message, when the device fails
     */
    void read(long firstBlock, ByteBuffer dst) throws IOException;

    /**
     * Writes {@code src.remaining() / 4096} blocks from {@code firstBlock} on, and advances the buffer.
     *
     * @throws IOException when the run reaches past the end of the device, or the device fails
     */
    void write(long firstBlock, ByteBuffer src) throws IOException;

    /** Makes every write that has returned durable (a device cache flush). */
    void flush() throws IOException;

    @Override
    void close() throws IOException;
}
