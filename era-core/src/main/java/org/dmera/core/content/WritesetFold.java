// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.format.Eras;

/**
 * Passes metadata on as it would be once all writesets were digested, while it comes in: for content that can be had only
 * once, as a salvage's. What can be read as often as one likes is folded in less memory by {@link LastWritten#stream}.
 *
 * <p>Memory is 4 bytes for each block of the parts of the origin that writesets have marks in.
 */
public final class WritesetFold extends ForwardingVisitor {
    private static final int PART_BLOCKS = 1 << 16;

    private int[][] parts = new int[0][];
    private long nrBlocks;
    private long nrBits;
    private int era;
    private ByteBuffer folded = ByteBuffer.allocate(0);

    /** {@code next} gets the content. */
    public WritesetFold(MetadataVisitor next) {
        super(next);
    }

    @Override
    public void superblock(long dataBlockSizeSectors, long nrBlocks, long currentEra) throws IOException {
        this.nrBlocks = nrBlocks;
        parts = new int[(int) ((nrBlocks + PART_BLOCKS - 1) / PART_BLOCKS)][];
        super.superblock(dataBlockSizeSectors, nrBlocks, currentEra);
    }

    @Override
    public void beginWriteset(long era, long nrBits) {
        this.era = (int) era;
        this.nrBits = Math.min(nrBits, nrBlocks);
    }

    @Override
    public void words(long firstWord, ByteBuffer buffer, int offset, int count) {
        for (int i = 0; i < count; i++) {
            long first = (firstWord + i) * Long.SIZE;
            for (long word = buffer.getLong(offset + Long.BYTES * i); word != 0; word &= word - 1) {
                long block = first + Long.numberOfTrailingZeros(word);
                if (block < nrBits) {
                    raise(block);
                }
            }
        }
    }

    private void raise(long block) {
        int part = (int) (block / PART_BLOCKS);
        if (parts[part] == null) {
            parts[part] = new int[PART_BLOCKS];
        }
        int at = (int) (block % PART_BLOCKS);
        parts[part][at] = Eras.later(parts[part][at], era);
    }

    @Override
    public void endWriteset() {}

    @Override
    public void eras(long firstBlock, ByteBuffer buffer, int offset, int count) throws IOException {
        if (folded.capacity() < count * Integer.BYTES) {
            folded = ByteBuffer.allocate(count * Integer.BYTES).order(buffer.order());
        }
        for (int i = 0; i < count; i++) {
            long block = firstBlock + i;
            int[] part = parts[(int) (block / PART_BLOCKS)];
            int array = buffer.getInt(offset + Integer.BYTES * i);
            folded.putInt(
                    Integer.BYTES * i, part == null ? array : Eras.later(array, part[(int) (block % PART_BLOCKS)]));
        }
        super.eras(firstBlock, folded, 0, count);
    }
}
