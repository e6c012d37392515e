// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import java.io.IOException;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.read.MetadataRoots;

/**
 * {@link LastWritten} in the order of the blocks, as runs of one era. It takes memory for {@link #WINDOW_BLOCKS} blocks at
 * most: of a larger device the metadata is read several times.
 */
public final class EraRuns {
    /** 64 MiB of eras. */
    private static final int WINDOW_BLOCKS = 1 << 24;

    private EraRuns() {}

    /** Receives runs that follow one another, from block 0 to the last. */
    public interface Visitor {
        /** Blocks {@code first} to {@code first + count − 1} were last written in {@code era}; 0 for never. */
        void run(long first, long count, long era) throws IOException;
    }

    public static void forEach(BlockDevice device, MetadataRoots roots, Visitor visitor) throws IOException {
        forEach(device, roots, WINDOW_BLOCKS, visitor);
    }

    public static void forEach(BlockDevice device, MetadataRoots roots, int windowBlocks, Visitor visitor)
            throws IOException {
        int[] window = new int[(int) Math.min(roots.nrBlocks(), windowBlocks)];
        long first = 0;
        long era = -1;
        for (long begin = 0; begin < roots.nrBlocks(); begin += window.length) {
            long end = Math.min(roots.nrBlocks(), begin + window.length);
            long from = begin;
            LastWritten.forEach(device, roots, (block, of) -> {
                if (block >= from && block < end) {
                    window[(int) (block - from)] = (int) of;
                }
            });
            for (long block = begin; block < end; block++) {
                long of = Integer.toUnsignedLong(window[(int) (block - begin)]);
                if (of != era) {
                    if (block > first) {
                        visitor.run(first, block - first, era);
                    }
                    first = block;
                    era = of;
                }
            }
        }
        if (roots.nrBlocks() > first) {
            visitor.run(first, roots.nrBlocks() - first, era);
        }
    }
}
