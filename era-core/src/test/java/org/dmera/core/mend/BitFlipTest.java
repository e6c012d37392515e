// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.junit.jupiter.api.Test;

/** A bit that has flipped is found, wherever it is, and nothing else is taken for one. */
class BitFlipTest {
    private static final int BITS = BlockDevice.BLOCK_BYTES * Byte.SIZE;
    private static final long BLOCK_NR = 77;

    private final byte[] sealed = new byte[BlockDevice.BLOCK_BYTES];
    private final ByteBuffer block = ByteBuffer.allocate(sealed.length).order(ByteOrder.LITTLE_ENDIAN);

    BitFlipTest() {
        new Random(1).nextBytes(block.array());
        new BlockSeal().seal(BlockType.BTREE_NODE, block, 0, BLOCK_NR);
        System.arraycopy(block.array(), 0, sealed, 0, sealed.length);
    }

    private void flip(int bit) {
        block.array()[bit / Byte.SIZE] ^= (byte) (1 << bit % Byte.SIZE);
    }

    private boolean isCorrected(BlockType type, long blockNr) {
        return BitFlip.correct(block, type, blockNr);
    }

    @Test
    void aBitOfTheChecksumOrOfAnythingElseIsFlippedBack() {
        for (int bit = 0; bit < BITS; bit += bit < Integer.SIZE || bit > BITS - Integer.SIZE ? 1 : 37) {
            flip(bit);
            assertTrue(isCorrected(BlockType.BTREE_NODE, BLOCK_NR), "bit " + bit);
            assertArrayEquals(sealed, block.array(), "bit " + bit);
        }
    }

    @Test
    void twoBitsOrNoneOrAnotherBlockAreLeftAsTheyAre() {
        assertFalse(isCorrected(BlockType.BTREE_NODE, BLOCK_NR), "none");
        flip(1000);
        assertFalse(isCorrected(BlockType.BTREE_NODE, BLOCK_NR + 1), "another number");
        assertFalse(isCorrected(BlockType.ARRAY_BLOCK, BLOCK_NR), "another kind");
        flip(20_000);
        byte[] broken = block.array().clone();
        assertFalse(isCorrected(BlockType.BTREE_NODE, BLOCK_NR), "two");
        assertArrayEquals(broken, block.array());
    }
}
