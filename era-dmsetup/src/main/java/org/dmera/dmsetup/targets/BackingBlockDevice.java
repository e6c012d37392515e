// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/** A target's backing as a metadata device. Closing it leaves the backing open. */
record BackingBlockDevice(Backing backing) implements BlockDevice {
    @Override
    public String name() {
        return backing.toString();
    }

    @Override
    public long sizeBlocks() {
        return backing.sizeBytes() / BLOCK_BYTES;
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws IOException {
        check(firstBlock, dst);
        backing.read(firstBlock * BLOCK_BYTES, dst);
    }

    @Override
    public void write(long firstBlock, ByteBuffer src) throws IOException {
        check(firstBlock, src);
        backing.write(firstBlock * BLOCK_BYTES, src, 0);
    }

    private void check(long firstBlock, ByteBuffer buffer) throws EOFException {
        if (firstBlock < 0 || firstBlock > sizeBlocks() - buffer.remaining() / BLOCK_BYTES) {
            throw new EOFException(backing + ": block " + firstBlock + " of a metadata device of " + sizeBlocks());
        }
    }

    @Override
    public void flush() throws IOException {
        backing.flush();
    }

    @Override
    public void close() {}
}
