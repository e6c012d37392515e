// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;

/**
 * Writes the space map of a device whose blocks were given out in sequence, each referred to once: blocks below the
 * last one used have count 1, the others 0, and the tree of larger counts is empty.
 */
final class SpaceMapBuilder {
    /** Four entries of count 1 (the low bit of each is the upper one of its pair). */
    private static final byte FOUR_ONES = (byte) 0xAA;

    private SpaceMapBuilder() {}

    /** Blocks that the space map of {@code nrBlocks} blocks takes: index, root of the ref-count tree, bitmaps. */
    static long sizeBlocks(long nrBlocks) {
        return 2 + (nrBlocks + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES;
    }

    /** Blocks of the smallest device that holds {@code contentBlocks}, block 0 included, and a space map. */
    static long withSpaceMap(long contentBlocks) {
        long total = contentBlocks;
        while (total < contentBlocks + sizeBlocks(total)) {
            total = contentBlocks + sizeBlocks(total);
        }
        return total;
    }

    /** Appends the space map and puts its root into {@code superblock}. */
    static void build(SequentialWriter out, Superblock superblock) throws IOException {
        long nrBlocks = out.limitBlocks();
        long used = out.next() + sizeBlocks(nrBlocks);
        if (used > nrBlocks || out.isCounting()) {
            throw out.tooSmall(withSpaceMap(out.next()));
        }
        long refCountRoot = new TreeBuilder(out, Integer.BYTES).finish();
        ByteBuffer indexBuffer = SequentialWriter.newBuffer(1);
        IndexBlock index = new IndexBlock().wrap(indexBuffer, 0);
        int entry = 0;
        for (long first = 0; first < nrBlocks; first += BitmapBlock.ENTRIES) {
            int allocated = (int) Math.max(0, Math.min(BitmapBlock.ENTRIES, used - first));
            out.stage();
            fill(new BitmapBlock().wrap(out.staged(), out.stagedOffset()), allocated);
            long bitmap = out.append(BlockType.BITMAP);
            index.entry(entry++, bitmap, BitmapBlock.ENTRIES - allocated, allocated);
        }
        long bitmapRoot = out.append(BlockType.INDEX, indexBuffer);
        superblock.spaceMapRoot(nrBlocks, used, bitmapRoot, refCountRoot);
        if (out.next() != used) {
            throw new IllegalStateException("the space map took " + (out.next() - used) + " blocks more than planned");
        }
    }

    private static void fill(BitmapBlock bitmap, int allocated) {
        int at = bitmap.offset() + BitmapBlock.COUNTS;
        for (int i = 0; i < allocated / 4; i++) {
            bitmap.buffer().put(at + i, FOUR_ONES);
        }
        for (int e = allocated & ~3; e < allocated; e++) {
            bitmap.count(e, 1);
        }
    }
}
