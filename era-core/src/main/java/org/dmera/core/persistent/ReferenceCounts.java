// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;

/**
 * How many things refer to each metadata block, as stored: an index block (kept in memory and written by a commit),
 * bitmap blocks with two bits a block, and a btree for counts of 3 and more.
 *
 * <p>Every change first shadows the bitmap that holds the count. Shadowing allocates and drops blocks, which changes
 * counts in turn; {@link SpaceMap} queues those. Nothing that a shadowed bitmap or the index recorded before is lost to
 * readers meanwhile: the index entry is stored last.
 */
final class ReferenceCounts {
    private final TransactionManager tm;
    private final ByteBuffer indexBytes =
            ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private final IndexBlock index = new IndexBlock().wrap(indexBytes, 0);
    private final BTree tree;

    private long nrBlocks;
    private long nrAllocated;
    private long indexRoot;
    private boolean indexChanged;

    ReferenceCounts(TransactionManager tm) {
        this.tm = tm;
        this.tree = new BTree(tm, new CountType(), 0);
    }

    long nrBlocks() {
        return nrBlocks;
    }

    long nrAllocated() {
        return nrAllocated;
    }

    long indexRoot() {
        return indexRoot;
    }

    long treeRoot() {
        return tree.root();
    }

    /** Where the bitmaps are, by index. */
    long[] bitmapBlocks() {
        long[] blocks = new long[(int) ((nrBlocks + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES)];
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = index.bitmapBlock(i);
        }
        return blocks;
    }

    /** New and empty: an index block, an empty tree, and bitmaps for {@code nrBlocks} blocks, all still uncounted. */
    void create(long nrBlocks) throws IOException {
        indexRoot = tm.newBlock(BlockType.INDEX).number;
        tree.create();
        for (int i = 0; (long) i * BitmapBlock.ENTRIES < nrBlocks; i++) {
            CachedBlock bitmap = tm.newBlock(BlockType.BITMAP);
            index.entry(i, bitmap.number, BitmapBlock.ENTRIES, 0);
        }
        this.nrBlocks = nrBlocks;
        indexChanged = true;
    }

    void open(Superblock superblock) throws IOException {
        nrBlocks = superblock.spaceMapNrBlocks();
        nrAllocated = superblock.spaceMapNrAllocated();
        indexRoot = superblock.spaceMapBitmapRoot();
        if (nrBlocks < 1 || nrBlocks > tm.sizeBlocks()) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.SPACE_MAP_TOO_LARGE,
                    0,
                    BlockType.SUPERBLOCK.label(),
                    "its space map covers " + Long.toUnsignedString(nrBlocks) + " blocks; the device has "
                            + tm.sizeBlocks() + " usable ones");
        }
        if (nrAllocated < 0 || nrAllocated > nrBlocks) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.WRONG_NR_ALLOCATED,
                    0,
                    BlockType.SUPERBLOCK.label(),
                    "its space map says that " + Long.toUnsignedString(nrAllocated) + " of " + nrBlocks
                            + " blocks are allocated");
        }
        System.arraycopy(tm.read(indexRoot, BlockType.INDEX).bytes, 0, indexBytes.array(), 0, BlockDevice.BLOCK_BYTES);
        tree.root(superblock.spaceMapRefCountRoot());
    }

    /** Takes over everything from {@code other}: the state at a commit. The tree is not: its nodes are not read here. */
    void copyFrom(ReferenceCounts other) {
        nrBlocks = other.nrBlocks;
        nrAllocated = other.nrAllocated;
        indexRoot = other.indexRoot;
        System.arraycopy(other.indexBytes.array(), 0, indexBytes.array(), 0, BlockDevice.BLOCK_BYTES);
    }

    /** The two bits of a block: 0, 1, 2, or 3 for "see the tree". */
    int stored(long block) throws IOException {
        return bitmapOf(block).count((int) (block % BitmapBlock.ENTRIES));
    }

    /** The full count of a block. */
    long count(long block) throws IOException {
        int stored = stored(block);
        return stored == BitmapBlock.SEE_TREE ? tree.lookupUnsignedInt(block) : stored;
    }

    /** The first block in [begin, end) whose count is 0, or −1. */
    long findFree(long begin, long end) throws IOException {
        int firstIndex = (int) (begin / BitmapBlock.ENTRIES);
        int from = (int) (begin % BitmapBlock.ENTRIES);
        for (int i = firstIndex; (long) i * BitmapBlock.ENTRIES < end; i++, from = 0) {
            if (index.nrFree(i) == 0) {
                continue;
            }
            long base = (long) i * BitmapBlock.ENTRIES;
            int to = (int) Math.min(BitmapBlock.ENTRIES, end - base);
            int found = bitmap(i).firstFree(Math.max(from, hint(i)), to);
            if (found >= 0) {
                return base + found;
            }
        }
        return -1;
    }

    /** Each block in [begin, end) gains a reference. */
    void add(long begin, long end) throws IOException {
        change(begin, end, true);
    }

    /** Each block in [begin, end) loses a reference. */
    void drop(long begin, long end) throws IOException {
        change(begin, end, false);
    }

    /** Writes the index block, by shadowing it, if any count was touched since this was last done. */
    void commit() throws IOException {
        if (indexChanged) {
            CachedBlock block = tm.shadow(indexRoot, BlockType.INDEX, copy -> {});
            System.arraycopy(indexBytes.array(), 0, block.bytes, 0, BlockDevice.BLOCK_BYTES);
            indexRoot = block.number;
            indexChanged = false;
        }
    }

    private void change(long begin, long end, boolean add) throws IOException {
        requireCovered(begin);
        requireCovered(end - 1);
        long block = begin;
        while (block < end) {
            int i = (int) (block / BitmapBlock.ENTRIES);
            long base = (long) i * BitmapBlock.ENTRIES;
            int from = (int) (block - base);
            int to = (int) Math.min(BitmapBlock.ENTRIES, end - base);
            CachedBlock bitmap = tm.shadow(index.bitmapBlock(i), BlockType.BITMAP, copy -> {});
            changeInBitmap(i, bitmap, base, from, to, add);
            block = base + to;
        }
    }

    private void changeInBitmap(int i, CachedBlock bitmapBlock, long base, int from, int to, boolean add)
            throws IOException {
        BitmapBlock bitmap = bitmapBlock.bitmap();
        int nrFree = index.nrFree(i);
        int noneFreeBefore = index.noneFreeBefore(i);
        for (int e = from; e < to; e++) {
            int stored = bitmap.count(e);
            if (add) {
                switch (stored) {
                    case 0 -> {
                        bitmap.count(e, 1);
                        nrAllocated++;
                        nrFree--;
                        if (noneFreeBefore == e) {
                            noneFreeBefore = e + 1;
                        }
                    }
                    case 1 -> bitmap.count(e, 2);
                    case 2 -> {
                        bitmap.count(e, BitmapBlock.SEE_TREE);
                        tree.insertInt(base + e, 3);
                    }
                    default -> tree.overwriteInt(base + e, 1);
                }
            } else {
                switch (stored) {
                    case 0 ->
                        throw DamagedMetadataException.inBlock(
                                DamageKind.COUNT_TOO_LOW,
                                base + e,
                                "space map",
                                "its reference count is 0, so it can't lose a reference");
                    case 1 -> {
                        bitmap.count(e, 0);
                        nrAllocated--;
                        nrFree++;
                        noneFreeBefore = Math.min(noneFreeBefore, e);
                    }
                    case 2 -> bitmap.count(e, 1);
                    default -> {
                        if (tree.overwriteInt(base + e, -1) == 3) {
                            tree.remove(base + e);
                            bitmap.count(e, 2);
                        }
                    }
                }
            }
        }
        index.entry(i, bitmapBlock.number, nrFree, noneFreeBefore);
        indexChanged = true;
    }

    /** none_free_before, kept within the bitmap whatever a damaged index holds. */
    private int hint(int i) {
        return Math.min(Math.max(0, index.noneFreeBefore(i)), BitmapBlock.ENTRIES);
    }

    private BitmapBlock bitmapOf(long block) throws IOException {
        requireCovered(block);
        return bitmap((int) (block / BitmapBlock.ENTRIES));
    }

    private BitmapBlock bitmap(int i) throws IOException {
        return tm.read(index.bitmapBlock(i), BlockType.BITMAP).bitmap();
    }

    private void requireCovered(long block) throws DamagedMetadataException {
        if (block < 0 || block >= nrBlocks) {
            throw DamagedMetadataException.inBlock(
                    DamageKind.BEYOND_SPACE_MAP,
                    block,
                    "space map",
                    "something refers to it, but the space map covers only " + nrBlocks + " blocks");
        }
    }

    /** Counts refer to nothing. */
    private static final class CountType implements ValueType {
        @Override
        public int sizeBytes() {
            return 4;
        }

        @Override
        public String label() {
            return "reference-count tree";
        }

        @Override
        public void addReference(ByteBuffer leaf, int offset) {}

        @Override
        public void release(ByteBuffer leaf, int offset) {}
    }
}
