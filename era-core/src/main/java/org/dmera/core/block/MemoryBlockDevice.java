// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.EOFException;
import java.nio.ByteBuffer;

/** A device in memory, for tests and for metadata that is built before it is written. Not durable. */
public final class MemoryBlockDevice implements BlockDevice {
    private final byte[] bytes;

    /** A zeroed device of {@code sizeBlocks} blocks (at most 2 GiB). */
    public MemoryBlockDevice(int sizeBlocks) {
        this(new byte[Math.multiplyExact(sizeBlocks, BLOCK_BYTES)]);
    }

    /** A device over {@code bytes}, shared with the caller; a partial block at the end is not addressable. */
    @SuppressWarnings("ArrayRecordComponent")
    public MemoryBlockDevice(byte[] bytes) {
        this.bytes = bytes;
    }

    /** The bytes of the device, shared. */
    public byte[] bytes() {
        return bytes;
    }

    @Override
    public long sizeBlocks() {
        return bytes.length / BLOCK_BYTES;
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws EOFException {
        BlockRanges.check("memory", sizeBlocks(), firstBlock, dst);
        dst.put(bytes, (int) (firstBlock * BLOCK_BYTES), dst.remaining());
    }

    @Override
    public void write(long firstBlock, ByteBuffer src) throws EOFException {
        BlockRanges.check("memory", sizeBlocks(), firstBlock, src);
        src.get(bytes, (int) (firstBlock * BLOCK_BYTES), src.remaining());
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
}
