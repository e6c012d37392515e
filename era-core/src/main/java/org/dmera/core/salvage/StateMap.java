// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.BitSet;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.StoredCounts;

/**
 * The space map of one state of the metadata.
 *
 * @param indexBlock its index, or 0 when that is broken
 * @param bitmaps the blocks of its bitmaps
 * @param counts what they store
 */
record StateMap(long indexBlock, BitSet bitmaps, StoredCounts counts) {
    /** That of an index, if its bitmaps can be read and count themselves and the index; else null. */
    static StateMap under(BlockReader reader, int indexBlock) {
        ByteBuffer block = BlockReader.newBuffer();
        if (reader.tryRead(indexBlock, block) != null) {
            return null;
        }
        IndexBlock index = new IndexBlock().wrap(block, 0);
        int size = reader.table().size();
        StateMap map = new StateMap(
                indexBlock, new BitSet(), new StoredCounts((size + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES));
        for (int i = 0; i < map.counts.nrBitmaps(); i++) {
            long b = index.bitmapBlock(i);
            if (i > 0 && b == 0) {
                // The device has grown since it was formatted, and the map has not.
                break;
            }
            if (!reader.table().isUsable(b)
                    || !map.load(reader, i, (int) b)
                    || map.counts.judgeNrFree(i, index.nrFree(i), size) == DamageKind.WRONG_NR_FREE) {
                return null;
            }
        }
        return map.countsItself() ? map : null;
    }

    /** That of a device with one bitmap, whose index is broken; null when it can't be that. */
    static StateMap withoutIndex(BlockReader reader, int bitmapBlock) {
        StateMap map = new StateMap(0, new BitSet(), new StoredCounts(1));
        return map.load(reader, 0, bitmapBlock) && map.countsItself() ? map : null;
    }

    private boolean load(BlockReader reader, int i, int bitmapBlock) {
        ByteBuffer bitmap = BlockReader.newBuffer();
        boolean isThere =
                reader.code(bitmapBlock) == BlockVerdict.BITMAP && reader.tryRead(bitmapBlock, bitmap) == null;
        if (isThere) {
            bitmaps.set(bitmapBlock);
            counts.bitmap(i, bitmap);
        }
        return isThere;
    }

    private boolean countsItself() {
        return counts.count(0) != 0
                && (indexBlock == 0 || counts.count((int) indexBlock) != 0)
                && bitmaps.stream().allMatch(b -> counts.count(b) != 0);
    }
}
