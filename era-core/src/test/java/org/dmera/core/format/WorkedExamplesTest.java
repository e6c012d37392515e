// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.WorkedExample;
import org.junit.jupiter.api.Test;

/** The layouts and the worked examples in the documentation are those of the classes that they stand beside. */
class WorkedExamplesTest {
    private static final String MODULE = "era-core";

    /** The example's block, which is that of the image that the text names, sealed as {@code type}. */
    private static ByteBuffer block(WorkedExample example, BlockType type) {
        byte[] block = example.bytes(BlockDevice.BLOCK_BYTES);
        List<String> from = example.source("block (\\d+) of the kernel-made image\\s+\\{@code ([\\w.]+)}");
        int nr = Integer.parseInt(from.get(0));
        byte[] image = Fixtures.imageBytes(Fixtures.image(from.get(1)));
        assertArrayEquals(
                Arrays.copyOfRange(image, nr * BlockDevice.BLOCK_BYTES, (nr + 1) * BlockDevice.BLOCK_BYTES), block);
        ByteBuffer buffer = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
        assertEquals(BlockSeal.Verdict.OK, new BlockSeal().verify(type, buffer, 0, nr));
        return buffer;
    }

    private static void check(Class<? extends Flyweight> format, BlockType type) throws ReflectiveOperationException {
        WorkedExample example = WorkedExample.of(MODULE, format);
        Flyweight view = format.getConstructor().newInstance();
        format.getMethod("wrap", ByteBuffer.class, int.class).invoke(view, block(example, type), 0);
        assertTrue(example.checkValues(view) >= 5, "the text names what is in the block");
        assertTrue(example.checkOffsets(format) >= 2, "the text names where it is");
    }

    @Test
    void superblock() throws ReflectiveOperationException {
        check(Superblock.class, BlockType.SUPERBLOCK);
    }

    @Test
    void btreeNode() throws ReflectiveOperationException {
        check(BTreeNode.class, BlockType.BTREE_NODE);
    }

    @Test
    void arrayBlock() throws ReflectiveOperationException {
        check(ArrayBlock.class, BlockType.ARRAY_BLOCK);
    }

    @Test
    void bitmapBlock() throws ReflectiveOperationException {
        check(BitmapBlock.class, BlockType.BITMAP);
    }

    @Test
    void indexBlock() throws ReflectiveOperationException {
        check(IndexBlock.class, BlockType.INDEX);
    }

    @Test
    void cacheSuperblockHasItsFieldsWhereTheTextSays() {
        assertTrue(WorkedExample.of(MODULE, CacheSuperblock.class).checkOffsets(CacheSuperblock.class) >= 10);
    }

    /** What a writeset tree's values hold, by their offset. */
    public record Values(ByteBuffer block) {
        public long nrBits(int offset) {
            return WritesetValue.nrBits(block, offset);
        }

        public long root(int offset) {
            return WritesetValue.root(block, offset);
        }
    }

    @Test
    void writesetValue() {
        WorkedExample example = WorkedExample.of(MODULE, WritesetValue.class);
        ByteBuffer leaf = block(example, BlockType.BTREE_NODE);
        assertEquals(4, example.checkValues(new Values(leaf)));
        assertEquals(1640, new BTreeNode().wrap(leaf, 0).valueOffset(0));
        assertEquals(1652, new BTreeNode().wrap(leaf, 0).valueOffset(1));
    }
}
