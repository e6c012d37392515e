// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.scan;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.MetadataVisitor;

/**
 * Streams metadata as it would be once all writesets were digested: no writesets, and an era array in which each block
 * has the highest era in which it was written.
 *
 * <p>Writesets are folded in a window of blocks at a time, so that memory stays constant; each is read in as many pieces
 * as there are windows.
 */
public final class LogicalScanner {
    private static final int WINDOW_BLOCKS = 1 << 22;

    private final BlockDevice device;
    private final MetadataRoots roots;
    private final ByteBuffer window;
    private long begin;
    private long end;

    private LogicalScanner(BlockDevice device, MetadataRoots roots) {
        this.device = device;
        this.roots = roots;
        this.window = ByteBuffer.allocateDirect(ArrayBlock.ERA_BYTES * (int) Math.min(WINDOW_BLOCKS, roots.nrBlocks()))
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Streams what {@code roots} lead to, folded.
     *
     * @throws DamagedMetadataException when something can't be read; the visitor has had what came before it
     */
    public static void scan(BlockDevice device, MetadataRoots roots, MetadataVisitor visitor) throws IOException {
        visitor.superblock(roots.dataBlockSizeSectors(), roots.nrBlocks(), roots.currentEra());
        visitor.beginEraArray();
        new LogicalScanner(device, roots).scanWindows(visitor);
        visitor.endEraArray();
        visitor.end();
    }

    private void scanWindows(MetadataVisitor visitor) throws IOException {
        for (begin = 0; begin < roots.nrBlocks(); begin = end) {
            end = Math.min(begin + WINDOW_BLOCKS, roots.nrBlocks());
            // A reader, with a budget of its own, for each window: every window walks the trees again.
            BlockReader reader = new BlockReader(device);
            new ArrayScanner(reader)
                    .scan(roots.eraArrayRoot(), begin, end, ArrayBlock.ERA_BYTES, "era array", this::putEras);
            WritesetScanner writesets = new WritesetScanner(reader);
            writesets.forEach(roots, (era, nrBits, root) -> fold(writesets, era, Math.min(nrBits, end), root));
            visitor.eras(begin, window, 0, (int) (end - begin));
        }
    }

    private void putEras(long firstIndex, ByteBuffer buffer, int offset, int count) {
        window.put((int) (firstIndex - begin) * ArrayBlock.ERA_BYTES, buffer, offset, count * ArrayBlock.ERA_BYTES);
    }

    private void fold(WritesetScanner writesets, long era, long endBit, long root) throws IOException {
        writesets.scanBits(era, begin / 64, endBit, root, (firstWord, buffer, offset, count) -> {
            for (int i = 0; i < count; i++) {
                long firstBlock = (firstWord + i) * 64;
                long word = buffer.getLong(offset + 8 * i);
                if (firstBlock + 64 > endBit) {
                    word &= (1L << endBit) - 1;
                }
                for (; word != 0; word &= word - 1) {
                    raise((int) (firstBlock - begin) + Long.numberOfTrailingZeros(word), era);
                }
            }
        });
    }

    private void raise(int block, long era) {
        int at = block * ArrayBlock.ERA_BYTES;
        if ((window.getInt(at) & 0xFFFFFFFFL) < era) {
            window.putInt(at, (int) era);
        }
    }
}
