// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;

/**
 * A view of one metadata block inside a buffer. Wrapping is free of allocation, so one instance serves a whole scan; it
 * is not thread-safe. Values are read as stored: nothing is validated here but the buffer's own bounds.
 */
public abstract class Flyweight {
    protected ByteBuffer buffer;
    protected int base;

    Flyweight() {}

    /** Looks at the 4096 bytes of {@code buffer} that begin at {@code offset}. The buffer must be little-endian. */
    protected final void view(ByteBuffer buffer, int offset) {
        if (buffer.order() != ByteOrder.LITTLE_ENDIAN) {
            throw new IllegalArgumentException("metadata is little-endian, the buffer is not");
        }
        if (offset < 0 || offset > buffer.capacity() - BlockDevice.BLOCK_BYTES) {
            throw new IndexOutOfBoundsException(
                    "no block of 4096 bytes at offset " + offset + " of a buffer of " + buffer.capacity());
        }
        this.buffer = buffer;
        this.base = offset;
    }

    /** The buffer that is looked at. */
    public final ByteBuffer buffer() {
        return buffer;
    }

    /** Where the block begins in {@link #buffer()}, in bytes. */
    public final int offset() {
        return base;
    }

    /** The stored checksum. */
    public final int checksum() {
        return buffer.getInt(base);
    }

    /** The number that the block says it has (u64). */
    public abstract long blockNr();
}
