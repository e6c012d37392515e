// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/** Finds, in a set of blocks, the trees that nothing in the set refers to, and tells what each of them is. */
final class RootFinder {

    private final BlockTable table;
    private final BlockReader reader;
    private final ByteBuffer block = BlockReader.newBuffer();
    private final BTreeNode node = new BTreeNode();
    private Used used;

    /** The blocks that are looked at. */
    interface Used {
        /** The first of them from {@code from} on and below {@code end}, or {@code end}. */
        int next(int from, int end);

        /** Whether {@code blockNr} is one of them. */
        default boolean test(int blockNr) {
            return next(blockNr, blockNr + 1) == blockNr;
        }
    }

    /** A state holds one snapshot, so more copies of superblocks than this tell of nothing but bad intentions. */
    private static final int MAX_COPIES = 100;

    RootFinder(BlockReader reader) {
        this.reader = reader;
        this.table = reader.table();
    }

    /**
     * The roots among the blocks that are {@code used}.
     *
     * @param indexBlock of the space map that says so, or 0
     */
    RootCandidate find(long indexBlock, Used used) {
        RootCandidate candidate = new RootCandidate(indexBlock);
        this.used = used;
        BitSet referred = new BitSet(table.size());
        List<Superblock> held = new ArrayList<>();
        int size = table.size();
        for (int b = used.next(1, size); b < size; b = used.next(b + 1, size)) {
            int code = Seen.code(reader.seen(b));
            if (code == Seen.NODE && reader.tryRead(b, block) == null) {
                refer(referred);
            } else if (code == Seen.SUPERBLOCK && held.size() < MAX_COPIES && reader.tryRead(b, block) == null) {
                ByteBuffer copy = BlockReader.newBuffer();
                copy.put(0, block, 0, BlockDevice.BLOCK_BYTES);
                held.add(new Superblock().wrap(copy, 0));
            } else if (code <= Seen.MISPLACED) {
                candidate.broken++;
            }
        }
        for (int b = used.next(1, size); b < size; b = used.next(b + 1, size)) {
            if (referred.get(b)) {
                continue;
            }
            int code = Seen.code(reader.seen(b));
            if (code == Seen.NODE) {
                classify(b, candidate);
            } else if (code <= Seen.MISPLACED) {
                candidate.unreadable++;
            }
        }
        for (Superblock copy : held) {
            // A root that the live trees have left behind belongs to the snapshot alone.
            leave(candidate.writesetTrees, copy.writesetTreeRoot());
            leave(candidate.eraArrays, copy.eraArrayRoot());
        }
        candidate.copies.addAll(held);
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

    /** A block number that can be asked for; block 0 in place of nonsense. */
    private int usable(long blockNr) {
        return table.isUsable(blockNr) ? (int) blockNr : 0;
    }

    /** Follows the first entries of a root down to see what tree it is. */
    private void classify(long root, RootCandidate candidate) {
        long b = root;
        for (int depth = 0; depth < Limits.MAX_TREE_LEVELS; depth++) {
            if (!table.isUsable(b) || Seen.code(reader.seen(b)) != Seen.NODE || reader.tryRead(b, block) != null) {
                return;
            }
            node.wrap(block, 0);
            if (node.hasSaneShape(WritesetValue.BYTES) && node.isLeaf()) {
                // An empty tree holds no mark: when it is not known to be a root, nothing is lost with it.
                if (node.nrEntries() == 0 || used.test(usable(WritesetValue.root(block, node.valueOffset(0))))) {
                    candidate.writesetTrees.add(root);
                }
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
            int code = table.isUsable(b) && used.test((int) b) ? Seen.code(reader.seen(b)) : Seen.UNSEALED;
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
