// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.Superblock;

/** Superblocks as the recorded cases of damaged metadata had them, by the words in which the transcript names the damage. */
final class DamagedSuperblocks {
    private static final int SPACE_MAP_BLOCKS = 4096;
    private static final long FAR_OUTSIDE = 1L << 40;

    /** Damage under a seal that fits. */
    private static final Map<String, Consumer<Superblock>> SEALED = Map.ofEntries(
            Map.entry("bad magic", sb -> sb.magic(Superblock.MAGIC - 122)),
            Map.entry("version 2", sb -> sb.version(2)),
            Map.entry("version 0", sb -> sb.version(0)),
            Map.entry("flags nonzero", sb -> sb.flags(0x55)),
            Map.entry("uuid nonzero", sb -> sb.uuid(filled(Superblock.UUID_BYTES, 7))),
            Map.entry("metadata_block_size 16 in superblock", sb -> sb.metadataBlockSizeSectors(16)),
            Map.entry("data_block_size 24 in superblock", sb -> sb.dataBlockSizeSectors(24)),
            Map.entry("era_array_root out of range", sb -> sb.eraArrayRoot(FAR_OUTSIDE)),
            Map.entry("era_array_root points at superblock", sb -> sb.eraArrayRoot(0)),
            Map.entry("writeset_tree_root is a bitmap block", sb -> sb.writesetTreeRoot(3)),
            Map.entry("nr_blocks larger than array", sb -> sb.nrBlocks(sb.nrBlocks() + 4096)),
            Map.entry(
                    "sm nr_blocks larger than the device",
                    sb -> sb.spaceMapRoot(
                            SPACE_MAP_BLOCKS,
                            sb.spaceMapNrAllocated(),
                            sb.spaceMapBitmapRoot(),
                            sb.spaceMapRefCountRoot())),
            Map.entry("current_era 0xffffffff", sb -> sb.currentEra(0xffffffffL)),
            Map.entry("current_era 0xfffffffe", sb -> sb.currentEra(0xfffffffeL)),
            Map.entry("metadata_snap set to a non-superblock block (5)", sb -> sb.metadataSnap(5)),
            Map.entry("drop_metadata_snap when metadata_snap points at a non superblock", sb -> sb.metadataSnap(5)));

    private DamagedSuperblocks() {}

    private static byte[] filled(int bytes, int value) {
        byte[] all = new byte[bytes];
        Arrays.fill(all, (byte) value);
        return all;
    }

    /** Damages the superblock of the metadata in {@code file}. */
    static void damage(Path file, String how) throws IOException {
        byte[] bytes = new byte[BlockDevice.BLOCK_BYTES];
        try (RandomAccessFile raw = new RandomAccessFile(file.toFile(), "rw")) {
            raw.readFully(bytes);
            damage(bytes, how);
            raw.seek(0);
            raw.write(bytes);
        }
    }

    private static void damage(byte[] bytes, String how) {
        ByteBuffer block = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        BlockSeal seal = new BlockSeal();
        switch (how) {
            case "garbage superblock (0xAA)" -> Arrays.fill(bytes, (byte) 0xAA);
            case "random garbage" -> new Random(1).nextBytes(bytes);
            case "bad csum" -> block.putInt(0, 0x04030201);
            case "wrong blocknr" -> seal.seal(BlockType.SUPERBLOCK, block, 0, 7);
            default -> {
                SEALED.get(how).accept(new Superblock().wrap(block, 0));
                seal.seal(BlockType.SUPERBLOCK, block, 0, 0);
            }
        }
    }
}
