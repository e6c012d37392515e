// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;

/** A metadata device's bytes, for cases that ask about the layout itself. Nothing is verified here. */
final class KernelImage {
    private final ByteBuffer bytes;

    private KernelImage(byte[] bytes) {
        this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    static KernelImage of(byte[] bytes) {
        return new KernelImage(bytes);
    }

    static KernelImage read(Path file) throws IOException {
        return new KernelImage(Files.readAllBytes(file));
    }

    void write(Path file) throws IOException {
        Files.write(file, bytes.array());
    }

    Superblock superblock() {
        return superblock(0);
    }

    /** The superblock's copy in a snapshot's root block, or block 0 itself. */
    Superblock superblock(long block) {
        return new Superblock().wrap(bytes, offset(block));
    }

    BTreeNode node(long block) {
        return new BTreeNode().wrap(bytes, offset(block));
    }

    IndexBlock index() {
        return new IndexBlock().wrap(bytes, offset(superblock().spaceMapBitmapRoot()));
    }

    /** The stored two-bit count of a metadata block. */
    int count(long block) {
        long bitmap = index().bitmapBlock(Math.toIntExact(block / BitmapBlock.ENTRIES));
        return new BitmapBlock().wrap(bytes, offset(bitmap)).count(Math.toIntExact(block % BitmapBlock.ENTRIES));
    }

    /** The zero counts in the first bitmap, which the index's first entry should give. */
    int freeInFirstBitmap() {
        BitmapBlock bitmap = new BitmapBlock().wrap(bytes, offset(index().bitmapBlock(0)));
        int free = 0;
        for (int entry = 0; entry < BitmapBlock.ENTRIES; entry++) {
            if (bitmap.count(entry) == 0) {
                free++;
            }
        }
        return free;
    }

    /** Leaks some free blocks, and makes the index's free count wrong. */
    void spoilCounts(Random random) {
        long bitmap = index().bitmapBlock(0);
        BitmapBlock counts = new BitmapBlock().wrap(bytes, offset(bitmap));
        int blocks = Math.toIntExact(superblock().spaceMapNrBlocks());
        for (int leaks = 0; leaks < 10; ) {
            int block = random.nextInt(blocks);
            if (counts.count(block) == 0) {
                counts.count(block, 1);
                leaks++;
            }
        }
        new BlockSeal().seal(BlockType.BITMAP, bytes, offset(bitmap), bitmap);
        long index = superblock().spaceMapBitmapRoot();
        index().entry(0, bitmap, index().nrFree(0) - 3, index().noneFreeBefore(0));
        new BlockSeal().seal(BlockType.INDEX, bytes, offset(index), index);
    }

    /** Overwrites the block of the era array in which block 0 is. */
    void loseFirstArrayBlock() {
        long block = superblock().eraArrayRoot();
        while (node(block).isInternal()) {
            block = node(block).valueLong(0);
        }
        int start = offset(node(block).valueLong(0));
        for (int i = 0; i < BlockDevice.BLOCK_BYTES; i++) {
            bytes.put(start + i, (byte) 0xa5);
        }
    }

    /** Seals block 0 after a change to its fields. */
    KernelImage sealSuperblock() {
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        return this;
    }

    private static int offset(long block) {
        return Math.toIntExact(block * BlockDevice.BLOCK_BYTES);
    }
}
