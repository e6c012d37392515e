// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.repair;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.check.CheckOptions;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Remedy;
import org.dmera.core.format.Superblock;
import org.dmera.core.salvage.StaleSuperblock;

/**
 * Mends in place what is certain: the space map, whatever is wrong with it, and unknown flags of the superblock.
 *
 * <p>The idea: as long as every tree can be read, the counts follow from the trees, so the whole space map is written
 * anew, into blocks that neither the trees nor the old map use. Nothing that the old superblock leads to is overwritten.
 * Only when the new map is durable does one write of block 0 make it the space map; a crash at any moment leaves either
 * the old state or the new one.
 */
public final class SpaceMapRepair {
    private static final int MAX_IN_BITMAP = BitmapBlock.SEE_TREE - 1;

    private final BlockDevice device;
    private final BlockUse checked;
    private final BlockUse trees;
    private final BlockSeal seal = new BlockSeal();
    private final byte[] counts;
    private int cursor = 1;

    private SpaceMapRepair(BlockDevice device, BlockUse checked, BlockUse trees) {
        this.device = device;
        this.checked = checked;
        this.trees = trees;
        this.counts = new byte[trees.size()];
    }

    /** Whether {@code report} holds something that {@link #repair} would change. */
    public static boolean isNeeded(CheckReport report) {
        for (Damage damage : report.damages()) {
            if (damage.remedy() == Remedy.AUTO_REPAIR) {
                return true;
            }
        }
        return false;
    }

    /**
     * Mends the device that {@code report} is about.
     *
     * @param report of a check of everything, made just before
     * @throws IllegalArgumentException when the report is of a check of less, or of another device: it doesn't say which
     *     blocks are in use, and nothing is written
     * @throws IOException when the report holds fatal damage of another kind (nothing is written then), when no room
     *     is left for a second space map, or the device fails
     */
    public static void repair(BlockDevice device, CheckReport report) throws IOException {
        if (report.scope() != CheckOptions.Scope.ALL) {
            throw new IllegalArgumentException("the report is of a check of scope " + report.scope()
                    + ", which doesn't say what is in use; expected one of the whole device");
        }
        if (report.isBeyondAutoRepair() || report.areTreesIncomplete()) {
            throw new IOException("the trees are damaged, so that the right counts are not known: nothing was changed."
                    + " Build a new device with era_repair first");
        }
        if (new BlockUse(device.sizeBlocks()).size() != report.table().size() || seal(device) != report.seal()) {
            throw new IllegalArgumentException(
                    "the report is about another device, or the device was changed after the check");
        }
        if (StaleSuperblock.isOlderThanAnother(device)) {
            throw new IOException(
                    "a later state of the metadata than the superblock's is on the device, so that the superblock"
                            + " may be an old one: nothing was changed. Build a new device with era_repair");
        }
        new SpaceMapRepair(device, report.table(), MetadataChecker.countReferences(device)).run();
    }

    private static int seal(BlockDevice device) throws IOException {
        ByteBuffer block = BlockReader.newBuffer();
        device.read(0, block);
        return block.getInt(0);
    }

    private void run() throws IOException {
        for (int b = 0; b < counts.length; b++) {
            int count = trees.references(b);
            if (count > MAX_IN_BITMAP) {
                // Two superblocks, the live one and the snapshot's, can't refer to a block three times.
                throw new IOException("block " + b + " has " + count + " references: nothing was changed");
            }
            counts[b] = (byte) count;
        }
        int nrBitmaps = (counts.length + BitmapBlock.ENTRIES - 1) / BitmapBlock.ENTRIES;
        int indexBlock = allocate();
        int refCountRoot = allocate();
        int[] bitmapBlocks = new int[nrBitmaps];
        for (int i = 0; i < nrBitmaps; i++) {
            bitmapBlocks[i] = allocate();
        }
        makeCheckedDurable();
        ByteBuffer block = BlockReader.newBuffer();
        new BTreeNode().format(block, 0, false, Integer.BYTES);
        write(BlockType.BTREE_NODE, block, refCountRoot);

        ByteBuffer index = BlockReader.newBuffer();
        long allocated = 0;
        for (int i = 0; i < nrBitmaps; i++) {
            int free = fill(block, i);
            allocated += BitmapBlock.ENTRIES - free;
            BitmapBlock bitmap = new BitmapBlock().wrap(block, 0);
            int firstFree = bitmap.firstFree(0, BitmapBlock.ENTRIES);
            new IndexBlock()
                    .wrap(index, 0)
                    .entry(i, bitmapBlocks[i], free, firstFree < 0 ? BitmapBlock.ENTRIES : firstFree);
            write(BlockType.BITMAP, block, bitmapBlocks[i]);
        }
        write(BlockType.INDEX, index, indexBlock);
        device.flush();

        device.read(0, block.clear());
        block.clear();
        Superblock superblock = new Superblock().wrap(block, 0);
        superblock.spaceMapRoot(counts.length, allocated, indexBlock, refCountRoot);
        superblock.flags(superblock.flags() & Superblock.FLAG_CLEAN_SHUTDOWN);
        write(BlockType.SUPERBLOCK, block, 0);
        device.flush();
    }

    /**
     * Where the flush of the superblock that was checked had failed, a page cache still has it, and the device the state before,
     * whose blocks are free here.
     */
    private void makeCheckedDurable() throws IOException {
        ByteBuffer superblock = BlockReader.newBuffer();
        device.read(0, superblock);
        device.write(0, superblock.clear());
        device.flush();
    }

    /** A block that neither the trees nor the old space map use. */
    private int allocate() throws IOException {
        while (cursor < counts.length && (checked.references(cursor) != 0 || counts[cursor] != 0)) {
            cursor++;
        }
        if (cursor == counts.length) {
            throw new IOException("no room for a new space map beside the old one: nothing was changed."
                    + " Build a new, larger device with era_repair");
        }
        counts[cursor] = 1;
        return cursor++;
    }

    /** Makes {@code block} bitmap {@code index}; returns how many of its entries are free. */
    private int fill(ByteBuffer block, int index) {
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i += 8) {
            block.putLong(i, 0);
        }
        BitmapBlock bitmap = new BitmapBlock().wrap(block, 0);
        int first = index * BitmapBlock.ENTRIES;
        int n = Math.min(BitmapBlock.ENTRIES, counts.length - first);
        for (int entry = 0; entry < n; entry++) {
            if (counts[first + entry] != 0) {
                bitmap.count(entry, counts[first + entry]);
            }
        }
        return bitmap.countFree();
    }

    private void write(BlockType type, ByteBuffer block, long blockNr) throws IOException {
        seal.seal(type, block, 0, blockNr);
        device.write(blockNr, block.clear());
        block.clear();
    }
}
