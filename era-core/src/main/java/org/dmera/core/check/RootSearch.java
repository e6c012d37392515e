// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;

/**
 * Finds the roots when the superblock is lost.
 *
 * <p>All blocks are looked at. Each space map index whose bitmaps agree with it (they verify, count themselves and the
 * index as used, and have as many free entries as the index says) stands for one state of the metadata: the last one, and
 * as a rule the one before, which nothing has overwritten yet. Among the blocks that such a space map counts as used, the
 * nodes that no other used node refers to are the roots. Which state is the newest can't be told; {@link MergedSalvage}
 * needs no answer.
 */
final class RootSearch {
    private static final int PIECE = 256;

    private final BlockDevice device;
    private final SalvageHints hints;
    private final BlockTable table;
    private final BlockReader reader;
    private final ByteBuffer block = BlockReader.newBuffer();

    RootSearch(BlockDevice device, SalvageHints hints) {
        this.device = device;
        this.hints = hints;
        this.table = new BlockTable(device.sizeBlocks());
        this.reader = new BlockReader(device, table, new DamageLog(), new Seen(-1));
    }

    Salvage run() throws IOException {
        look();
        List<RootCandidate> candidates = new ArrayList<>();
        BitSet usedInAny = new BitSet(table.size());
        RootFinder finder = new RootFinder(reader);
        for (int b = 1; b < table.size(); b++) {
            if (Seen.code(table.seen(b)) == Seen.INDEX) {
                StoredCounts counts = consistentCounts(b);
                if (counts != null) {
                    for (int at = counts.firstUsed(0, table.size());
                            at < table.size();
                            at = counts.firstUsed(at + 1, table.size())) {
                        usedInAny.set(at);
                    }
                    candidates.add(finder.find(b, counts::firstUsed));
                }
            }
        }
        candidates.removeIf(c -> c.writesetTrees.isEmpty() && c.eraArrays.isEmpty());
        if (candidates.isEmpty() || isAnyStateMissing(usedInAny)) {
            candidates.add(finder.find(0, (from, end) -> from));
        }
        RootCandidate last = candidates.get(candidates.size() - 1);
        if (candidates.size() == 1 && last.writesetTrees.isEmpty() && last.eraArrays.isEmpty()) {
            throw new IOException("bad checksum in superblock, and no era metadata found on the whole device");
        }
        return new MergedSalvage(device, table, candidates, hints);
    }

    /**
     * Whether a state newer than those that were found may have been there. Blocks are handed out in sequence, so all up
     * to the highest sealed one have been written by the kernel and were sealed then: a broken one that no state uses may
     * be the newest space map. And that one may lie just above the highest sealed block, for the index is the last block
     * that a commit takes: then the sealed blocks above all that is used are what that commit took before.
     */
    private boolean isAnyStateMissing(BitSet usedInAny) {
        int highest = table.size() - 1;
        while (highest > 0 && Seen.code(table.seen(highest)) <= Seen.MISPLACED) {
            highest--;
        }
        if (highest >= usedInAny.length()) {
            return true;
        }
        for (int b = usedInAny.nextClearBit(1); b < highest; b = usedInAny.nextClearBit(b + 1)) {
            if (Seen.code(table.seen(b)) <= Seen.MISPLACED) {
                return true;
            }
        }
        return false;
    }

    private void look() {
        Seen eye = new Seen(-1);
        int bytes = Math.min(PIECE, table.size()) * BlockDevice.BLOCK_BYTES;
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int first = 0; first < table.size(); first += PIECE) {
            int n = Math.min(PIECE, table.size() - first);
            try {
                device.read(first, buffer.clear().limit(n * BlockDevice.BLOCK_BYTES));
            } catch (IOException e) {
                // One bad sector: block by block then, each with a verdict of its own.
                for (int b = first; b < first + n; b++) {
                    reader.seen(b);
                }
                continue;
            }
            for (int i = 0; i < n; i++) {
                table.seen(first + i, eye.look(buffer, i * BlockDevice.BLOCK_BYTES, first + i));
            }
        }
    }

    /** The counts under an index, if they are consistent with it and with themselves; else null. */
    private StoredCounts consistentCounts(long indexBlock) {
        if (reader.tryRead(indexBlock, block) != null) {
            return null;
        }
        ByteBuffer copy = BlockReader.newBuffer();
        copy.put(0, block, 0, BlockDevice.BLOCK_BYTES);
        IndexBlock index = new IndexBlock().wrap(copy, 0);
        StoredCounts counts = new StoredCounts((table.size() + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES);
        for (int i = 0; i < counts.nrBitmaps(); i++) {
            long b = index.bitmapBlock(i);
            ByteBuffer bitmap = BlockReader.newBuffer();
            if (!table.isUsable(b) || Seen.code(table.seen(b)) != Seen.BITMAP || reader.tryRead(b, bitmap) != null) {
                return null;
            }
            int free = new BitmapBlock().wrap(bitmap, 0).countFree();
            if (!StoredCounts.isFreeCount(i, index.nrFree(i), free, table.size())) {
                return null;
            }
            counts.bitmap(i, bitmap);
        }
        for (int i = 0; i < counts.nrBitmaps(); i++) {
            if (counts.count((int) index.bitmapBlock(i)) == 0) {
                return null;
            }
        }
        return counts.count(0) == 0 || counts.count((int) indexBlock) == 0 ? null : counts;
    }
}
