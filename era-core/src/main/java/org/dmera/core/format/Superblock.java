// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The superblock: block 0, and the root block of a held metadata snapshot. Little-endian, packed; source:
 * {@code struct superblock_disk} in {@code dm-era-target.c}, and for the space map's root {@code struct disk_sm_root} in
 * {@code dm-space-map-common.h}.
 *
 * <pre>
 *   0  u32  csum                      see {@link Flyweight}, salt 146538381
 *   4  u32  FLAGS                     1: shut down in order, by userland tools; the kernel writes 0
 *   8  u64  BLOCK_NR                  the block's own number
 *  16  16   UUID                      the kernel leaves it 0
 *  32  u64  MAGIC_OFFSET              2126579579
 *  40  u32  VERSION_OFFSET            1
 *  44  128  SPACE_MAP_ROOT            of which 32 are in use:
 *  44  u64  SM_NR_BLOCKS              metadata blocks that have a count
 *  52  u64  SM_NR_ALLOCATED           those whose count is not 0
 *  60  u64  SM_BITMAP_ROOT            the {@link IndexBlock}
 *  68  u64  SM_REF_COUNT_ROOT         tree of counts of 3 and more, by block
 * 172  u32  DATA_BLOCK_SIZE           sectors of 512 bytes in an origin block
 * 176  u32  METADATA_BLOCK_SIZE       sectors in a metadata block: 8
 * 180  u32  NR_BLOCKS                 origin blocks
 * 184  u32  CURRENT_ERA
 * 188  u32  CURRENT_WRITESET_NR_BITS  origin blocks when the current era began
 * 192  u64  CURRENT_WRITESET_ROOT     root of its bitset; 0: none is open
 * 200  u64  WRITESET_TREE_ROOT        {@link WritesetValue} by era, of those that are not digested yet
 * 208  u64  ERA_ARRAY_ROOT            u32 by origin block: the era of its last write that is digested
 * 216  u64  METADATA_SNAP             the held snapshot's superblock; 0: none is held
 * 224  u32  END                       first byte after the last field; 0 from here on
 * </pre>
 *
 * <p>In a snapshot's copy only the writeset tree and the era array are held; its current writeset may have been freed.
 *
 * <p>Worked example: block 0 of the kernel-made image {@code c_snap_bs24.live}, of a device in use that holds a snapshot.
 *
 * <pre>
 *     0  ec 0d a9 bf 00 00 00 00 00 00 00 00 00 00 00 00
 *    32  7b 07 c1 7e 00 00 00 00 01 00 00 00 00 04 00 00
 *    48  00 00 00 00 17 00 00 00 00 00 00 00 31 02 00 00
 *    64  00 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00
 *   160  00 00 00 00 00 00 00 00 00 00 00 00 18 00 00 00
 *   176  08 00 00 00 01 10 00 00 05 00 00 00 01 10 00 00
 *   192  30 02 00 00 00 00 00 00 0f 00 00 00 00 00 00 00
 *   208  0a 00 00 00 00 00 00 00 88 02 00 00 00 00 00 00
 *
 *  checksum() = 0xbfa90dec   flags() = 0   blockNr() = 0   magic() = 2126579579   version() = 1
 *  spaceMapNrBlocks() = 1024   spaceMapNrAllocated() = 23
 *  spaceMapBitmapRoot() = 561   spaceMapRefCountRoot() = 2
 *  dataBlockSizeSectors() = 24   metadataBlockSizeSectors() = 8   nrBlocks() = 4097
 *  currentEra() = 5   currentWritesetNrBits() = 4097   currentWritesetRoot() = 560
 *  writesetTreeRoot() = 15   eraArrayRoot() = 10   metadataSnap() = 648
 * </pre>
 */
public final class Superblock extends Flyweight {
    /** What {@link #magic()} must be. */
    public static final long MAGIC = 2126579579L;
    /** What {@link #version()} must be. */
    public static final int VERSION = 1;
    /** Set by userland tools after a clean write; the kernel always writes 0. */
    public static final int FLAG_CLEAN_SHUTDOWN = 1;
    /** The only metadata block size there is, in sectors. */
    public static final int METADATA_BLOCK_SIZE_SECTORS = 8;

    /** Offset of the flags (u32). */
    public static final int FLAGS = 4;
    /** Offset of the block's own number (u64). */
    public static final int BLOCK_NR = 8;
    /** Offset of the uuid. */
    public static final int UUID = 16;
    /** Bytes of the uuid. */
    public static final int UUID_BYTES = 16;
    /** Offset of the magic (u64). */
    public static final int MAGIC_OFFSET = 32;
    /** Offset of the version (u32). */
    public static final int VERSION_OFFSET = 40;
    /** Offset of the space map's root. */
    public static final int SPACE_MAP_ROOT = 44;
    /** Bytes that the format reserves for the space map's root. */
    public static final int SPACE_MAP_ROOT_BYTES = 128;
    /** Offset of how many metadata blocks the space map covers (u64). */
    public static final int SM_NR_BLOCKS = SPACE_MAP_ROOT;
    /** Offset of how many metadata blocks have a count that is not 0 (u64). */
    public static final int SM_NR_ALLOCATED = SPACE_MAP_ROOT + 8;
    /** Offset of the space map's index block (u64). */
    public static final int SM_BITMAP_ROOT = SPACE_MAP_ROOT + 16;
    /** Offset of the root of the ref-count tree (u64). */
    public static final int SM_REF_COUNT_ROOT = SPACE_MAP_ROOT + 24;
    /** Offset of the sectors in an origin block (u32). */
    public static final int DATA_BLOCK_SIZE = 172;
    /** Offset of the sectors in a metadata block (u32). */
    public static final int METADATA_BLOCK_SIZE = 176;
    /** Offset of how many origin blocks there are (u32). */
    public static final int NR_BLOCKS = 180;
    /** Offset of the current era (u32). */
    public static final int CURRENT_ERA = 184;
    /** Offset of the bits of the current writeset (u32). */
    public static final int CURRENT_WRITESET_NR_BITS = 188;
    /** Offset of the root of the current writeset's bitset (u64). */
    public static final int CURRENT_WRITESET_ROOT = 192;
    /** Offset of the root of the writeset tree (u64). */
    public static final int WRITESET_TREE_ROOT = 200;
    /** Offset of the root of the era array (u64). */
    public static final int ERA_ARRAY_ROOT = 208;
    /** Offset of the block of the held snapshot's superblock (u64). */
    public static final int METADATA_SNAP = 216;
    /** First byte after the last field. */
    public static final int END = 224;

    /**
     * Looks at a block.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @return this
     */
    public Superblock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    /** {@return the flags (u32), as stored} */
    public int flags() {
        return buffer.getInt(base + FLAGS);
    }

    /**
     * Stores the flags.
     *
     * @param flags u32
     * @return this
     */
    public Superblock flags(int flags) {
        buffer.putInt(base + FLAGS, flags);
        return this;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** {@return the 16 bytes of the uuid, copied} */
    public byte[] uuid() {
        byte[] uuid = new byte[UUID_BYTES];
        buffer.get(base + UUID, uuid);
        return uuid;
    }

    /**
     * Stores the uuid.
     *
     * @param uuid at least 16 bytes, of which the first 16 are taken
     * @return this
     */
    public Superblock uuid(byte[] uuid) {
        buffer.put(base + UUID, uuid, 0, UUID_BYTES);
        return this;
    }

    /** {@return the magic (u64), as stored} */
    public long magic() {
        return buffer.getLong(base + MAGIC_OFFSET);
    }

    /**
     * Stores the magic.
     *
     * @param magic u64
     * @return this
     */
    public Superblock magic(long magic) {
        buffer.putLong(base + MAGIC_OFFSET, magic);
        return this;
    }

    /** {@return the version (u32), as stored} */
    public int version() {
        return buffer.getInt(base + VERSION_OFFSET);
    }

    /**
     * Stores the version.
     *
     * @param version u32
     * @return this
     */
    public Superblock version(int version) {
        buffer.putInt(base + VERSION_OFFSET, version);
        return this;
    }

    /** {@return metadata blocks that the space map covers (u64)} */
    public long spaceMapNrBlocks() {
        return buffer.getLong(base + SM_NR_BLOCKS);
    }

    /** {@return metadata blocks whose count is not 0 (u64)} */
    public long spaceMapNrAllocated() {
        return buffer.getLong(base + SM_NR_ALLOCATED);
    }

    /** {@return the space map's index block (u64)} */
    public long spaceMapBitmapRoot() {
        return buffer.getLong(base + SM_BITMAP_ROOT);
    }

    /** {@return the root of the tree of counts of 3 and more (u64)} */
    public long spaceMapRefCountRoot() {
        return buffer.getLong(base + SM_REF_COUNT_ROOT);
    }

    /**
     * Stores the four fields of the space map root and zeroes the unused rest of its 128 bytes.
     *
     * @param nrBlocks metadata blocks covered, u64
     * @param nrAllocated metadata blocks whose count is not 0, u64
     * @param bitmapRoot index block, u64
     * @param refCountRoot root of the tree of counts of 3 and more, u64
     * @return this
     */
    public Superblock spaceMapRoot(long nrBlocks, long nrAllocated, long bitmapRoot, long refCountRoot) {
        buffer.putLong(base + SM_NR_BLOCKS, nrBlocks);
        buffer.putLong(base + SM_NR_ALLOCATED, nrAllocated);
        buffer.putLong(base + SM_BITMAP_ROOT, bitmapRoot);
        buffer.putLong(base + SM_REF_COUNT_ROOT, refCountRoot);
        for (int i = 32; i < SPACE_MAP_ROOT_BYTES; i += 8) {
            buffer.putLong(base + SPACE_MAP_ROOT + i, 0);
        }
        return this;
    }

    /** {@return sectors of 512 bytes in an origin block (u32)} */
    public long dataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + DATA_BLOCK_SIZE));
    }

    /**
     * Stores the size of an origin block.
     *
     * @param sectors u32
     * @return this
     */
    public Superblock dataBlockSizeSectors(long sectors) {
        buffer.putInt(base + DATA_BLOCK_SIZE, (int) sectors);
        return this;
    }

    /** {@return sectors of 512 bytes in a metadata block (u32), as stored} */
    public long metadataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + METADATA_BLOCK_SIZE));
    }

    /**
     * Stores the size of a metadata block.
     *
     * @param sectors u32
     * @return this
     */
    public Superblock metadataBlockSizeSectors(long sectors) {
        buffer.putInt(base + METADATA_BLOCK_SIZE, (int) sectors);
        return this;
    }

    /** {@return origin blocks (u32; valid metadata has less than 2^31)} */
    public long nrBlocks() {
        return Integer.toUnsignedLong(buffer.getInt(base + NR_BLOCKS));
    }

    /**
     * Stores how many blocks the origin has.
     *
     * @param nrBlocks u32
     * @return this
     */
    public Superblock nrBlocks(long nrBlocks) {
        buffer.putInt(base + NR_BLOCKS, (int) nrBlocks);
        return this;
    }

    /** {@return the current era, 0 to 2^32 − 1} */
    public long currentEra() {
        return Integer.toUnsignedLong(buffer.getInt(base + CURRENT_ERA));
    }

    /**
     * Stores the current era.
     *
     * @param era u32
     * @return this
     */
    public Superblock currentEra(long era) {
        buffer.putInt(base + CURRENT_ERA, (int) era);
        return this;
    }

    /** {@return bits of the current writeset (u32)} */
    public long currentWritesetNrBits() {
        return Integer.toUnsignedLong(buffer.getInt(base + CURRENT_WRITESET_NR_BITS));
    }

    /** {@return the root of the current writeset's bitset (u64); 0 when it has been archived or never begun} */
    public long currentWritesetRoot() {
        return buffer.getLong(base + CURRENT_WRITESET_ROOT);
    }

    /** {@return whether the current era's writeset is open: in a snapshot's copy that says nothing} */
    public boolean hasCurrentWriteset() {
        return currentWritesetRoot() != 0;
    }

    /** {@return the highest era of which the writeset tree can hold a writeset, and so the highest that can be digested} */
    public long lastArchived() {
        return Eras.lastArchived(currentEra(), hasCurrentWriteset());
    }

    /**
     * Stores the current writeset.
     *
     * @param nrBits u32
     * @param root of its bitset, u64; 0 for none
     * @return this
     */
    public Superblock currentWriteset(long nrBits, long root) {
        buffer.putInt(base + CURRENT_WRITESET_NR_BITS, (int) nrBits);
        buffer.putLong(base + CURRENT_WRITESET_ROOT, root);
        return this;
    }

    /** {@return the root of the writeset tree (u64)} */
    public long writesetTreeRoot() {
        return buffer.getLong(base + WRITESET_TREE_ROOT);
    }

    /**
     * Stores the root of the writeset tree.
     *
     * @param root u64
     * @return this
     */
    public Superblock writesetTreeRoot(long root) {
        buffer.putLong(base + WRITESET_TREE_ROOT, root);
        return this;
    }

    /** {@return the root of the era array (u64)} */
    public long eraArrayRoot() {
        return buffer.getLong(base + ERA_ARRAY_ROOT);
    }

    /**
     * Stores the root of the era array.
     *
     * @param root u64
     * @return this
     */
    public Superblock eraArrayRoot(long root) {
        buffer.putLong(base + ERA_ARRAY_ROOT, root);
        return this;
    }

    /** {@return the block of the held snapshot's superblock copy (u64), 0 when none is held} */
    public long metadataSnap() {
        return buffer.getLong(base + METADATA_SNAP);
    }

    /**
     * Stores the block of the held snapshot's superblock.
     *
     * @param block u64; 0 for none
     * @return this
     */
    public Superblock metadataSnap(long block) {
        buffer.putLong(base + METADATA_SNAP, block);
        return this;
    }
}
