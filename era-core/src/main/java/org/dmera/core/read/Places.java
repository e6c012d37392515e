// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;

/** A quick look at the places of all blocks, which nodes and space map tell without any array block. */
public final class Places implements TreeWalker.Listener, WritesetScanner.WritesetVisitor {
    private final BlockSource source;
    private final ReadOnce reading;
    private final TreeWalker arrays;

    private Places(BlockDevice device) {
        this.reading = new ReadOnce(device);
        this.source = reading.source();
        this.arrays = new TreeWalker(source, reading, BTreeNode.BLOCK_VALUE_BYTES, TreeWalker.newBuffers(), this);
    }

    /**
     * Whether the space map agrees with itself and counts each block once that has a place, and no other: then no part is missing
     * or in another's place. False as well where that isn't known so quickly: a held snapshot shares blocks.
     */
    public static boolean isEachUsedOnce(BlockDevice device, MetadataRoots roots) {
        try {
            return roots.metadataSnap() == 0 && new Places(device).areCounted(roots);
        } catch (IOException e) {
            // What is wrong, or can't be read, and whether that matters, is for a check to say.
            return false;
        }
    }

    private boolean areCounted(MetadataRoots roots) throws IOException {
        Superblock superblock = roots.superblock();
        long nrBlocks = superblock.spaceMapNrBlocks();
        if (nrBlocks != source.sizeBlocks()) {
            return false;
        }
        reading.use(0, 0);
        new WritesetScanner(reading).forEach(roots, this);
        arrays.walk(roots.eraArrayRoot(), 0, true);
        BTreeNode refCounts = new BTreeNode().wrap(block(superblock.spaceMapRefCountRoot(), BlockType.BTREE_NODE), 0);
        IndexBlock index = new IndexBlock().wrap(block(superblock.spaceMapBitmapRoot(), BlockType.INDEX), 0);
        StoredCounts counts = new StoredCounts((int) ((nrBlocks + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES));
        for (int i = 0; i < counts.nrBitmaps(); i++) {
            counts.bitmap(i, block(index.bitmapBlock(i), BlockType.BITMAP));
        }
        return refCounts.hasSaneShape(Integer.BYTES)
                && refCounts.nrEntries() == 0
                && counts.agreeWith(index, superblock, (int) nrBlocks)
                && counts.areOneFor(reading.visited());
    }

    private ByteBuffer block(long blockNr, BlockType type) throws IOException {
        use(blockNr);
        ByteBuffer block = BlockSource.newBuffer(1);
        Problem problem = source.read(blockNr, block, type);
        if (problem != null) {
            problem(problem);
        }
        return block;
    }

    private void use(long blockNr) throws IOException {
        Problem problem =
                source.isUsable(blockNr) ? reading.use(blockNr, 0) : Problem.outOfRange(blockNr, source.sizeBlocks());
        if (problem != null) {
            problem(problem);
        }
    }

    @Override
    public void writeset(long era, long nrBits, long root) throws IOException {
        arrays.walk(root, 0, true);
    }

    @Override
    public boolean leaf(BTreeNode leaf, boolean isFirst) throws IOException {
        for (int i = 0; i < leaf.nrEntries(); i++) {
            use(leaf.valueLong(i));
        }
        return true;
    }

    @Override
    public void problem(Problem problem) throws IOException {
        problem.failFast("metadata");
    }
}
