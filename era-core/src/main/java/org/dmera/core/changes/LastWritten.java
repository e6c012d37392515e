// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.changes;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.scan.ArrayScanner;
import org.dmera.core.scan.BlockReader;
import org.dmera.core.scan.MetadataRoots;
import org.dmera.core.scan.WritesetScanner;

/**
 * Tells of every origin block when it was last written: the highest era whose writeset has its bit, the current
 * writeset included, else the era array's value, 0 for never. Memory is one bit a block.
 */
public final class LastWritten {
    /** Receives each block once; not in order. */
    public interface Visitor {
        /** Block {@code block} was last written in {@code era}. */
        void block(long block, long era) throws IOException;
    }

    private final MetadataRoots roots;
    private final BlockReader reader;
    private final WritesetScanner writesets;
    /** Blocks that a newer writeset than the one at hand has told of. */
    private final BlockSet told;

    private long[] eras = new long[16];
    private long[] bits = new long[16];
    private long[] bitsetRoots = new long[16];
    private int count;

    private LastWritten(BlockDevice device, MetadataRoots roots) {
        this.roots = roots;
        this.reader = new BlockReader(device);
        this.writesets = new WritesetScanner(reader);
        this.told = new BlockSet(roots.nrBlocks());
    }

    /**
     * Visits blocks 0 to {@code roots.nrBlocks() − 1}.
     *
     * @throws org.dmera.core.format.DamagedMetadataException when the metadata can't be read to the end
     */
    public static void forEach(BlockDevice device, MetadataRoots roots, Visitor visitor) throws IOException {
        new LastWritten(device, roots).visit(visitor);
    }

    private void visit(Visitor visitor) throws IOException {
        writesets.forEach(roots, this::remember);
        for (int i = count - 1; i >= 0; i--) {
            long era = eras[i];
            long wanted = Math.min(bits[i], roots.nrBlocks());
            writesets.scanBits(era, wanted, bitsetRoots[i], (firstWord, buffer, offset, words) -> {
                for (int w = 0; w < words; w++) {
                    tell(firstWord + w, buffer.getLong(offset + 8 * w), wanted, era, visitor);
                }
            });
        }
        new ArrayScanner(reader)
                .scan(
                        roots.eraArrayRoot(),
                        roots.nrBlocks(),
                        ArrayBlock.ERA_BYTES,
                        "era array",
                        (firstBlock, buffer, offset, values) -> tellRest(firstBlock, buffer, offset, values, visitor));
    }

    private void remember(long era, long nrBits, long root) {
        if (count == eras.length) {
            eras = Arrays.copyOf(eras, 2 * count);
            bits = Arrays.copyOf(bits, 2 * count);
            bitsetRoots = Arrays.copyOf(bitsetRoots, 2 * count);
        }
        eras[count] = era;
        bits[count] = nrBits;
        bitsetRoots[count++] = root;
    }

    private void tell(long wordIndex, long word, long nrBits, long era, Visitor visitor) throws IOException {
        int index = (int) wordIndex;
        long fresh = word & ~told.word(index);
        long bitsHere = nrBits - 64 * wordIndex;
        if (bitsHere < 64) {
            fresh &= (1L << bitsHere) - 1;
        }
        told.or(index, fresh);
        while (fresh != 0) {
            visitor.block(64 * wordIndex + Long.numberOfTrailingZeros(fresh), era);
            fresh &= fresh - 1;
        }
    }

    private void tellRest(long firstBlock, ByteBuffer buffer, int offset, int values, Visitor visitor)
            throws IOException {
        for (int i = 0; i < values; i++) {
            if (!told.contains(firstBlock + i)) {
                visitor.block(firstBlock + i, Integer.toUnsignedLong(buffer.getInt(offset + 4 * i)));
            }
        }
    }
}
