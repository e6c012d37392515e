// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.EOFException;
import java.nio.ByteBuffer;

/** The bounds rule that every {@link BlockDevice} shares. */
final class BlockRanges {
    private BlockRanges() {}

    static void check(String device, long sizeBlocks, long firstBlock, ByteBuffer buffer) throws EOFException {
        int bytes = buffer.remaining();
        if (bytes % BlockDevice.BLOCK_BYTES != 0) {
            throw new IllegalArgumentException("transfer of " + bytes + " bytes is not a whole number of blocks");
        }
        long count = bytes / BlockDevice.BLOCK_BYTES;
        if (firstBlock < 0 || firstBlock > sizeBlocks - count) {
            throw new EOFException(device + ": block " + Long.toUnsignedString(firstBlock)
                    + (count == 1 ? "" : " and the " + (count - 1) + " after it")
                    + " lie outside the device, which has " + sizeBlocks + " blocks");
        }
    }
}
