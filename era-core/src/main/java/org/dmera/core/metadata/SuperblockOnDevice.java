// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.SuperblockRules;

/** Block 0 as it is on a device, looked at before or beside the engine's own copy. */
final class SuperblockOnDevice {
    private SuperblockOnDevice() {}

    /** Whether it is all zeroes. */
    static boolean isBlank(BlockDevice device) throws IOException {
        ByteBuffer block = read(device);
        while (block.hasRemaining()) {
            if (block.getLong() != 0) {
                return false;
            }
        }
        return true;
    }

    /**
     * The checks that the kernel makes of a superblock, in its order, and that the origin is no larger than it can be. Other
     * sizes that the check finds fault with, the kernel doesn't look at.
     */
    static void requireSupported(BlockDevice device, long dataBlockSizeSectors) throws IOException {
        ByteBuffer block = read(device);
        Superblock sb = new Superblock().wrap(block, 0);
        List<String> format = SuperblockRules.formatProblems(sb);
        DamageKind kind = DamageKind.BAD_FIELD;
        String problem = null;
        if (sb.blockNr() != 0) {
            kind = DamageKind.WRONG_BLOCK_NUMBER;
            problem = "it says that it is block " + Long.toUnsignedString(sb.blockNr());
        } else if (sb.magic() == Superblock.MAGIC
                && new BlockSeal().verify(BlockType.SUPERBLOCK, block, 0, 0) != BlockSeal.Verdict.OK) {
            kind = DamageKind.BAD_CHECKSUM;
            problem = "its checksum is wrong";
        } else if (!format.isEmpty()) {
            problem = format.get(0);
        } else if (sb.dataBlockSizeSectors() != dataBlockSizeSectors) {
            problem = "made for blocks of " + sb.dataBlockSizeSectors() + " sectors, not of " + dataBlockSizeSectors;
        } else {
            problem = Limits.whyNoOrigin(sb.nrBlocks(), dataBlockSizeSectors);
        }
        if (problem != null) {
            throw DamagedMetadataException.inBlock(kind, 0, "superblock", problem);
        }
    }

    /** Whether it has the same bytes as {@code superblock}. */
    static boolean equals(BlockDevice device, Superblock superblock) throws IOException {
        ByteBuffer mine = superblock.buffer().duplicate();
        return read(device)
                .equals(mine.position(superblock.offset()).limit(superblock.offset() + BlockDevice.BLOCK_BYTES));
    }

    private static ByteBuffer read(BlockDevice device) throws IOException {
        ByteBuffer block = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        device.read(0, block);
        return block.flip();
    }
}
