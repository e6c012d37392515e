// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.dmera.core.block.BlockDevice;

/**
 * How two metadata devices differ, block by block: which of the blocks that either refers to have other bytes, and in
 * which structure they stand. Blocks that neither refers to are not compared.
 */
public final class MetadataDiff {
    /**
     * A block that differs.
     *
     * @param block its number
     * @param inFirst the structure that it is in on the first device, null when nothing there refers to it
     * @param inSecond likewise on the second
     * @param firstDifferingByte offset in the block of the first byte that differs, not counting the checksum
     * @param differingBytes how many bytes differ
     */
    public record Difference(long block, String inFirst, String inSecond, int firstDifferingByte, int differingBytes) {
        @Override
        public String toString() {
            String where = inFirst == null ? "unused" : inFirst;
            String other = inSecond == null ? "unused" : inSecond;
            return "block " + block + ": " + (where.equals(other) ? where : where + " / " + other) + ": "
                    + differingBytes + " bytes differ, the first at offset " + firstDifferingByte;
        }
    }

    private MetadataDiff() {}

    /**
     * Compares every block that the first device refers to, or the second, in ascending order.
     *
     * @throws IOException when either device fails or is damaged on the way
     */
    public static List<Difference> compare(BlockDevice first, BlockDevice second) throws IOException {
        ReferencedBlocks ofFirst = ReferencedBlocks.of(first);
        ReferencedBlocks ofSecond = ReferencedBlocks.of(second);
        TreeSet<Long> numbers = new TreeSet<>(ofFirst.blocks().keySet());
        numbers.addAll(ofSecond.blocks().keySet());
        List<Difference> differences = new ArrayList<>();
        ByteBuffer a = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer b = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (long number : numbers) {
            readIfThere(first, number, a);
            readIfThere(second, number, b);
            if (!a.equals(b)) {
                differences.add(difference(number, structure(ofFirst, number), structure(ofSecond, number), a, b));
            }
        }
        return differences;
    }

    private static void readIfThere(BlockDevice device, long number, ByteBuffer block) throws IOException {
        block.clear();
        if (number < device.sizeBlocks()) {
            device.read(number, block);
        } else {
            block.put(new byte[BlockDevice.BLOCK_BYTES]);
        }
        block.flip();
    }

    private static String structure(ReferencedBlocks blocks, long number) {
        ReferencedBlocks.Reached reached = blocks.blocks().get(number);
        return reached == null ? null : reached.structure();
    }

    private static Difference difference(long number, String inFirst, String inSecond, ByteBuffer a, ByteBuffer b) {
        int firstByte = -1;
        int count = 0;
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i++) {
            if (a.get(i) != b.get(i)) {
                count++;
                if (firstByte < 0 && i >= 4) {
                    firstByte = i;
                }
            }
        }
        return new Difference(number, inFirst, inSecond, Math.max(firstByte, 0), count);
    }
}
