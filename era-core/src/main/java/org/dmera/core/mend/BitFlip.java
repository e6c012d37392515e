// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;

/**
 * Finds the one bit that has flipped in a block. The checksum is linear: a bit that flips changes it by a pattern that depends on
 * the bit's place alone, and no two places have the same. That garbage passes for a flipped bit by chance has a probability below
 * one in 100,000.
 */
public final class BitFlip {
    /** That of CRC32C, the highest power in the lowest bit. */
    private static final int POLYNOMIAL = 0x82F63B78;

    private BitFlip() {}

    /** Flips the bit back that makes {@code block} a {@code type} numbered {@code blockNr}; false when none does. */
    public static boolean correct(ByteBuffer block, BlockType type, long blockNr) {
        BlockSeal seal = new BlockSeal();
        int place = place(block.getInt(0) ^ seal.unsaltedChecksum(block, 0) ^ type.salt());
        if (place < 0) {
            return false;
        }
        flip(block, place);
        if (seal.verify(type, block, 0, blockNr) == BlockSeal.Verdict.OK) {
            return true;
        }
        flip(block, place);
        return false;
    }

    /** The bit of a block that flips those bits of the checksum; −1 when none does. */
    private static int place(int difference) {
        if (Integer.bitCount(difference) == 1) {
            // It is of the checksum itself, which is stored in the first 32 bits.
            return Integer.numberOfTrailingZeros(difference);
        }
        int pattern = POLYNOMIAL;
        for (int bit = BlockDevice.BLOCK_BYTES * Byte.SIZE - 1; bit >= Integer.SIZE; bit--) {
            if (pattern == difference) {
                return bit;
            }
            pattern = pattern >>> 1 ^ -(pattern & 1) & POLYNOMIAL;
        }
        return -1;
    }

    private static void flip(ByteBuffer block, int bit) {
        int at = bit / Byte.SIZE;
        block.put(at, (byte) (block.get(at) ^ 1 << bit % Byte.SIZE));
    }
}
