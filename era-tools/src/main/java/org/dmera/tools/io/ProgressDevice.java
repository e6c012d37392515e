// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/** A device whose reads move a progress bar. */
public final class ProgressDevice implements BlockDevice {
    private final BlockDevice device;
    private final Progress progress;

    public ProgressDevice(BlockDevice device, Progress progress) {
        this.device = device;
        this.progress = progress;
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public long sizeBlocks() {
        return device.sizeBlocks();
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws IOException {
        int blocks = dst.remaining() / BLOCK_BYTES;
        device.read(firstBlock, dst);
        progress.add(blocks);
    }

    @Override
    public void write(long firstBlock, ByteBuffer src) throws IOException {
        device.write(firstBlock, src);
    }

    @Override
    public void flush() throws IOException {
        device.flush();
    }

    @Override
    public void close() throws IOException {
        try (progress) {
            device.close();
        }
    }
}
