// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

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
    private static final int DEEPEST = 64;

    private final BlockDevice device;
    private final SalvageHints hints;
    private final BlockTable table;
    private final BlockReader reader;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final BTreeNode node = new BTreeNode();
    private final List<Superblock> copies = new ArrayList<>();

    RootSearch(BlockDevice device, SalvageHints hints) {
        this.device = device;
        this.hints = hints;
        this.table = new BlockTable(device.sizeBlocks());
        this.reader = new BlockReader(device, table, new DamageLog(), new Seen(-1));
    }

    Salvage run() throws IOException {
        look();
        List<RootCandidate> candidates = new ArrayList<>();
        for (int b = 1; b < table.size(); b++) {
            if (Seen.code(table.seen(b)) == Seen.INDEX) {
                StoredCounts counts = consistentCounts(b);
                if (counts != null) {
                    candidates.add(roots(b, counts));
                }
            }
        }
        candidates.removeIf(c -> c.writesetTrees.isEmpty() && c.eraArrays.isEmpty());
        if (candidates.isEmpty()) {
            RootCandidate all = roots(0, null);
            if (all.writesetTrees.isEmpty() && all.eraArrays.isEmpty()) {
                throw new IOException("bad checksum in superblock, and no era metadata found on the whole device");
            }
            candidates.add(all);
        }
        return new MergedSalvage(device, table, candidates, copies, hints);
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
            int excess = index.nrFree(i) - new BitmapBlock().wrap(bitmap, 0).countFree();
            if (excess != 0 && !(excess == 2 && i == 0)) {
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

    /** The roots among the blocks that {@code counts} calls used; null: among all blocks. */
    private RootCandidate roots(long indexBlock, StoredCounts counts) {
        RootCandidate candidate = new RootCandidate(indexBlock);
        BitSet referred = new BitSet(table.size());
        List<Superblock> held = new ArrayList<>();
        for (int b = 1; b < table.size(); b++) {
            if (counts != null && counts.count(b) == 0) {
                continue;
            }
            int code = Seen.code(table.seen(b));
            if (code == Seen.NODE && reader.tryRead(b, block) == null) {
                refer(referred);
            } else if (code == Seen.SUPERBLOCK && reader.tryRead(b, block) == null) {
                ByteBuffer copy = BlockReader.newBuffer();
                copy.put(0, block, 0, BlockDevice.BLOCK_BYTES);
                held.add(new Superblock().wrap(copy, 0));
            }
        }
        for (int b = 1; b < table.size(); b++) {
            if (counts != null && counts.count(b) == 0 || referred.get(b)) {
                continue;
            }
            int code = Seen.code(table.seen(b));
            if (code == Seen.NODE) {
                classify(b, candidate);
            } else if (counts != null && code <= Seen.MISPLACED) {
                candidate.unreadable++;
            }
        }
        for (Superblock copy : held) {
            // A root that the live trees have left behind belongs to the snapshot alone.
            leave(candidate.writesetTrees, copy.writesetTreeRoot());
            leave(candidate.eraArrays, copy.eraArrayRoot());
        }
        copies.addAll(held);
        return candidate;
    }

    private static void leave(List<Long> roots, long root) {
        if (roots.size() > 1) {
            roots.remove(Long.valueOf(root));
        }
    }

    /** Notes what the node in {@link #block} refers to. */
    private void refer(BitSet referred) {
        node.wrap(block, 0);
        boolean values = node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES);
        boolean writesets = !values && node.hasSaneShape(WritesetValue.BYTES);
        for (int i = 0; (values || writesets) && i < node.nrEntries(); i++) {
            long b = values ? node.valueLong(i) : WritesetValue.root(block, node.valueOffset(i));
            if (table.isUsable(b)) {
                referred.set((int) b);
            }
        }
    }

    /** Follows the first entries of a root down to see what tree it is. */
    private void classify(long root, RootCandidate candidate) {
        long b = root;
        for (int depth = 0; depth < DEEPEST; depth++) {
            if (!table.isUsable(b) || Seen.code(reader.seen(b)) != Seen.NODE || reader.tryRead(b, block) != null) {
                return;
            }
            node.wrap(block, 0);
            if (node.hasSaneShape(WritesetValue.BYTES) && node.isLeaf()) {
                candidate.writesetTrees.add(root);
                return;
            }
            if (!node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES)) {
                return;
            }
            if (node.nrEntries() == 0) {
                if (node.isLeaf()) {
                    candidate.eraArrays.add(root);
                }
                return;
            }
            if (node.isLeaf()) {
                classifyArray(root, candidate);
                return;
            }
            b = node.valueLong(0);
        }
    }

    private void classifyArray(long root, RootCandidate candidate) {
        for (int i = 0; i < node.nrEntries(); i++) {
            long b = node.valueLong(i);
            int code = table.isUsable(b) ? Seen.code(reader.seen(b)) : Seen.UNSEALED;
            if (code == Seen.ERAS || code == Seen.ERAS_ABOVE_CURRENT) {
                candidate.eraArrays.add(root);
                return;
            }
            if (code == Seen.WORDS) {
                candidate.bitsets.add(root);
                return;
            }
        }
        candidate.unreadable++;
    }
}
