// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;

/**
 * A view of one metadata block of 4096 bytes inside a little-endian buffer. Wrapping is free of allocation, so one instance
 * serves a whole scan; it is not thread-safe. Values are read as stored: nothing is validated here but the buffer's own
 * bounds. Methods that store a field return the view itself.
 *
 * <p>Every block begins with a u32 checksum: CRC32C (Castagnoli, initial value and final XOR 0xFFFFFFFF) of bytes 4 to 4095,
 * XOR 0xFFFFFFFF, XOR a salt that is the block's kind: 146538381 superblock, 121107 btree node, 595846735 array block, 240779
 * space map bitmap, 160478 space map index. Sources: {@code dm-era-target.c} ({@code SUPERBLOCK_CSUM_XOR}) and, in the
 * persistent-data library, {@code dm-btree-spine.c}, {@code dm-array.c}, {@code dm-space-map-common.c}.
 *
 * <p>In the layouts of the subclasses the first column is the offset in bytes. Bytes that a worked example doesn't show are 0.
 */
public abstract class Flyweight {
    /** The buffer that is looked at, little-endian. */
    protected ByteBuffer buffer;
    /** Where in {@link #buffer} the block begins, in bytes. */
    protected int base;

    Flyweight() {}

    /**
     * Looks at the 4096 bytes of {@code buffer} that begin at {@code offset}.
     *
     * @param buffer little-endian
     * @param offset in bytes
     * @throws IllegalArgumentException for a big-endian buffer
     * @throws IndexOutOfBoundsException when the block doesn't lie in the buffer
     */
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

    /** {@return the buffer that is looked at, little-endian} */
    public final ByteBuffer buffer() {
        return buffer;
    }

    /** {@return where the block begins in {@link #buffer()}, in bytes} */
    public final int offset() {
        return base;
    }

    /** {@return the stored checksum (u32)} */
    public final int checksum() {
        return buffer.getInt(base);
    }

    /** {@return the number that the block says it has (u64), which is right when it is where it was written to} */
    public abstract long blockNr();
}
