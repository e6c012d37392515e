// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.EraHistogram;
import org.dmera.core.content.LastWritten;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.read.ReadOnce;
import org.dmera.core.read.WritesetScanner;

/**
 * Everything that era_stat reports.
 *
 * @param roots where the figures come from
 * @param blockBytes size of an origin block
 * @param metadataBlocks metadata blocks that the space map covers
 * @param metadataUsedBlocks of these, how many are in use
 * @param deviceBlocks metadata blocks that the device has
 * @param writesets that have not been digested into the era array, the current one last
 * @param histogram blocks by the era in which they were last written
 */
record MetadataFacts(
        MetadataRoots roots,
        long blockBytes,
        long metadataBlocks,
        long metadataUsedBlocks,
        long deviceBlocks,
        List<Writeset> writesets,
        EraHistogram histogram) {
    private static final int SECTOR_BYTES = 512;
    /** More writesets than these are not kept in memory; sound metadata has a handful. */
    private static final int MAX_WRITESETS = 1 << 18;

    /** A writeset: its era, the origin's blocks then, and how many of them were written. */
    record Writeset(long era, long nrBits, long marked) {}

    static MetadataFacts read(BlockDevice device, MetadataRoots roots) throws IOException {
        // Also of a snapshot: it holds no space map of its own.
        MetadataRoots live = MetadataRoots.read(device);
        List<Writeset> writesets = writesets(device, roots);
        EraHistogram histogram = new EraHistogram(roots.currentEra());
        LastWritten.forEach(device, roots, histogram);
        return new MetadataFacts(
                roots,
                roots.dataBlockSizeSectors() * SECTOR_BYTES,
                live.spaceMapBlocks(),
                live.allocatedBlocks(),
                device.sizeBlocks(),
                writesets,
                histogram);
    }

    private static List<Writeset> writesets(BlockDevice device, MetadataRoots roots) throws IOException {
        List<Writeset> list = new ArrayList<>();
        WritesetScanner scanner = new WritesetScanner(new ReadOnce(device));
        WritesetScanner bits = new WritesetScanner(new ReadOnce(device));
        scanner.forEach(roots, (era, nrBits, root) -> {
            if (list.size() == MAX_WRITESETS) {
                throw new IOException(device.name() + ": there are more than " + MAX_WRITESETS
                        + " writesets that are not digested, which is too many to list");
            }
            list.add(new Writeset(era, nrBits, marked(bits, era, nrBits, root)));
        });
        return list;
    }

    private static long marked(WritesetScanner scanner, long era, long nrBits, long root) throws IOException {
        long[] marked = new long[1];
        scanner.scanBits(era, nrBits, root, (firstWord, buffer, offset, count) -> {
            for (int i = 0; i < count; i++) {
                marked[0] += Long.bitCount(buffer.getLong(offset + ArrayBlock.WORD_BYTES * i));
            }
        });
        return marked[0];
    }

    long originBytes() {
        return roots.nrBlocks() * blockBytes;
    }
}
