// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;

/**
 * Finds the one bit that has flipped in a block. The checksum is linear, so at most one bit of the 32768 can explain a
 * mismatch; that garbage passes for a flipped bit by chance has a probability below one in 100,000.
 */
public final class BitFlip {
    private BitFlip() {}

    /** Flips the bit back that makes {@code block} a {@code type} numbered {@code blockNr}; false when none does. */
    public static boolean correct(ByteBuffer block, BlockType type, long blockNr) {
        BlockSeal seal = new BlockSeal();
        for (int at = 0; at < BlockDevice.BLOCK_BYTES; at++) {
            byte original = block.get(at);
            for (int bit = 0; bit < 8; bit++) {
                block.put(at, (byte) (original ^ 1 << bit));
                if (seal.verify(type, block, 0, blockNr) == BlockSeal.Verdict.OK) {
                    return true;
                }
            }
            block.put(at, original);
        }
        return false;
    }
}
