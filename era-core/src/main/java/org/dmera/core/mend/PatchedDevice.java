// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import org.dmera.core.block.BlockDevice;

/**
 * A device on which some blocks read as they should have been. What is on the device itself stays as it is.
 *
 * @param patches the blocks by their numbers
 */
public record PatchedDevice(BlockDevice device, Map<Long, ByteBuffer> patches) implements BlockDevice {
    /** As {@code patches} are now. */
    public PatchedDevice {
        patches = Map.copyOf(patches);
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
        int at = dst.position();
        int blocks = dst.remaining() / BLOCK_BYTES;
        if (blocks == 1 && patches.containsKey(firstBlock)) {
            // The device may not be able to read it at all.
            dst.put(patches.get(firstBlock).duplicate());
            return;
        }
        device.read(firstBlock, dst);
        for (int i = 0; i < blocks; i++) {
            ByteBuffer patch = patches.get(firstBlock + i);
            if (patch != null) {
                dst.put(at + i * BLOCK_BYTES, patch, 0, BLOCK_BYTES);
            }
        }
    }

    @Override
    public void write(long firstBlock, ByteBuffer src) throws IOException {
        throw new IOException("a patched device is only read");
    }

    @Override
    public void flush() throws IOException {
        throw new IOException("a patched device is only read");
    }

    @Override
    public void close() throws IOException {
        device.close();
    }
}
