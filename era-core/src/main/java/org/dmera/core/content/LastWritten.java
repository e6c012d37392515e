// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.PlacesCheck;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.read.ArrayScanner;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.ReadOnce;
import org.dmera.core.read.WritesetScanner;

/**
 * When each origin block was last written: the highest era that the era array or any writeset, the current one included,
 * has for it ({@link Eras#later}); 0 for never.
 *
 * <p>Writesets are folded into a window of blocks at a time, so that memory stays constant; each is read in as many pieces
 * as there are windows.
 */
public final class LastWritten {
    private static final int WINDOW_BLOCKS = 1 << 22;

    /** Receives each block once, in order. */
    public interface Visitor {
        /** Block {@code block} was last written in {@code era}. */
        void block(long block, long era) throws IOException;
    }

    private final BlockDevice device;
    private final MetadataRoots roots;
    private final ByteBuffer window;
    private long begin;
    private long end;

    private LastWritten(BlockDevice device, MetadataRoots roots) {
        this.device = device;
        this.roots = roots;
        this.window = ByteBuffer.allocateDirect(ArrayBlock.ERA_BYTES * (int) Math.min(WINDOW_BLOCKS, roots.nrBlocks()))
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * Visits blocks 0 to {@code roots.nrBlocks() − 1}.
     *
     * @throws DamagedMetadataException when the metadata can't be read to the end
     */
    public static void forEach(BlockDevice device, MetadataRoots roots, Visitor visitor) throws IOException {
        LastWritten fold = new LastWritten(device, roots);
        while (fold.next()) {
            for (long block = fold.begin; block < fold.end; block++) {
                int at = (int) (block - fold.begin) * ArrayBlock.ERA_BYTES;
                visitor.block(block, Integer.toUnsignedLong(fold.window.getInt(at)));
            }
        }
    }

    /**
     * Streams metadata as it would be once all writesets were digested: without any, and with an era array that has it all.
     *
     * @throws DamagedMetadataException when something can't be read; the visitor has had what came before it
     */
    public static void stream(BlockDevice device, MetadataRoots roots, MetadataVisitor visitor) throws IOException {
        LastWritten fold = new LastWritten(device, roots);
        visitor.superblock(roots.dataBlockSizeSectors(), roots.nrBlocks(), roots.currentEra());
        visitor.beginEraArray();
        while (fold.next()) {
            visitor.eras(fold.begin, fold.window, 0, (int) (fold.end - fold.begin));
        }
        visitor.endEraArray();
        visitor.end();
    }

    /** Folds the next window; false at the end. */
    private boolean next() throws IOException {
        begin = end;
        end = Math.min(begin + WINDOW_BLOCKS, roots.nrBlocks());
        if (begin == end) {
            PlacesCheck.refuse(device, roots);
            return false;
        }
        // A reading for each window: every window walks the trees again.
        ReadOnce reading = new ReadOnce(device);
        new ArrayScanner(reading).scanEras(roots, begin, end, this::putEras);
        WritesetScanner writesets = new WritesetScanner(reading);
        writesets.forEach(roots, (era, nrBits, root) -> fold(writesets, era, nrBits, root));
        return true;
    }

    private void putEras(long firstIndex, ByteBuffer buffer, int offset, int count) throws DamagedMetadataException {
        Eras.requireDigested(buffer, offset, count, firstIndex, roots.lastArchived());
        window.put((int) (firstIndex - begin) * ArrayBlock.ERA_BYTES, buffer, offset, count * ArrayBlock.ERA_BYTES);
    }

    private void fold(WritesetScanner writesets, long era, long nrBits, long root) throws IOException {
        long endBit = Math.min(nrBits, end);
        writesets.scanBits(era, nrBits, root, begin / 64, endBit, (firstWord, buffer, offset, count) -> {
            for (int i = 0; i < count; i++) {
                long firstBlock = (firstWord + i) * 64;
                long word = buffer.getLong(offset + 8 * i);
                if (firstBlock + 64 > endBit) {
                    word &= (1L << endBit) - 1;
                }
                for (; word != 0; word &= word - 1) {
                    raise((int) (firstBlock - begin) + Long.numberOfTrailingZeros(word), (int) era);
                }
            }
        });
    }

    private void raise(int block, int era) {
        int at = block * ArrayBlock.ERA_BYTES;
        window.putInt(at, Eras.later(window.getInt(at), era));
    }
}
