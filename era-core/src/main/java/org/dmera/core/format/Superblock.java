// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The superblock: block 0, and the root block of a held metadata snapshot.
 *
 * <p>Layout (little-endian; source: the kernel's dm-era on-disk format, version 1): checksum, flags, own number, uuid,
 * magic, version; the root of the metadata space map (four u64 in a field of 128 bytes); the sizes; the current era and
 * writeset; the roots of the writeset tree and the era array; the held snapshot. Bytes from 224 on are unused.
 *
 * <p>In a snapshot's copy only the writeset tree and the era array are held; its current writeset may have been freed.
 */
public final class Superblock extends Flyweight {
    public static final long MAGIC = 2126579579L;
    public static final int VERSION = 1;
    /** Set by userland tools after a clean write; the kernel always writes 0. */
    public static final int FLAG_CLEAN_SHUTDOWN = 1;
    /** The only metadata block size there is, in sectors. */
    public static final int METADATA_BLOCK_SIZE_SECTORS = 8;

    public static final int FLAGS = 4;
    public static final int BLOCK_NR = 8;
    public static final int UUID = 16;
    public static final int UUID_BYTES = 16;
    public static final int MAGIC_OFFSET = 32;
    public static final int VERSION_OFFSET = 40;
    public static final int SPACE_MAP_ROOT = 44;
    public static final int SPACE_MAP_ROOT_BYTES = 128;
    public static final int SM_NR_BLOCKS = SPACE_MAP_ROOT;
    public static final int SM_NR_ALLOCATED = SPACE_MAP_ROOT + 8;
    public static final int SM_BITMAP_ROOT = SPACE_MAP_ROOT + 16;
    public static final int SM_REF_COUNT_ROOT = SPACE_MAP_ROOT + 24;
    public static final int DATA_BLOCK_SIZE = 172;
    public static final int METADATA_BLOCK_SIZE = 176;
    public static final int NR_BLOCKS = 180;
    public static final int CURRENT_ERA = 184;
    public static final int CURRENT_WRITESET_NR_BITS = 188;
    public static final int CURRENT_WRITESET_ROOT = 192;
    public static final int WRITESET_TREE_ROOT = 200;
    public static final int ERA_ARRAY_ROOT = 208;
    public static final int METADATA_SNAP = 216;
    /** First byte after the last field. */
    public static final int END = 224;

    /** Looks at the block at {@code offset}; returns this. */
    public Superblock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    public int flags() {
        return buffer.getInt(base + FLAGS);
    }

    public Superblock flags(int flags) {
        buffer.putInt(base + FLAGS, flags);
        return this;
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** The 16 bytes of the uuid, copied. */
    public byte[] uuid() {
        byte[] uuid = new byte[UUID_BYTES];
        buffer.get(base + UUID, uuid);
        return uuid;
    }

    public Superblock uuid(byte[] uuid) {
        buffer.put(base + UUID, uuid, 0, UUID_BYTES);
        return this;
    }

    public long magic() {
        return buffer.getLong(base + MAGIC_OFFSET);
    }

    public Superblock magic(long magic) {
        buffer.putLong(base + MAGIC_OFFSET, magic);
        return this;
    }

    public int version() {
        return buffer.getInt(base + VERSION_OFFSET);
    }

    public Superblock version(int version) {
        buffer.putInt(base + VERSION_OFFSET, version);
        return this;
    }

    /** Metadata blocks that the space map covers. */
    public long spaceMapNrBlocks() {
        return buffer.getLong(base + SM_NR_BLOCKS);
    }

    /** Metadata blocks whose count is not 0. */
    public long spaceMapNrAllocated() {
        return buffer.getLong(base + SM_NR_ALLOCATED);
    }

    /** The space map's index block. */
    public long spaceMapBitmapRoot() {
        return buffer.getLong(base + SM_BITMAP_ROOT);
    }

    /** Root of the tree of counts of 3 and more. */
    public long spaceMapRefCountRoot() {
        return buffer.getLong(base + SM_REF_COUNT_ROOT);
    }

    /** Sets the four fields of the space map root and zeroes the unused rest of its 128 bytes. */
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

    /** Sectors (u32) of an origin block. */
    public long dataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + DATA_BLOCK_SIZE));
    }

    public Superblock dataBlockSizeSectors(long sectors) {
        buffer.putInt(base + DATA_BLOCK_SIZE, (int) sectors);
        return this;
    }

    public long metadataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + METADATA_BLOCK_SIZE));
    }

    public Superblock metadataBlockSizeSectors(long sectors) {
        buffer.putInt(base + METADATA_BLOCK_SIZE, (int) sectors);
        return this;
    }

    /** Origin blocks (u32; valid metadata has less than 2^31). */
    public long nrBlocks() {
        return Integer.toUnsignedLong(buffer.getInt(base + NR_BLOCKS));
    }

    public Superblock nrBlocks(long nrBlocks) {
        buffer.putInt(base + NR_BLOCKS, (int) nrBlocks);
        return this;
    }

    /** The current era, 0 to 2^32 − 1. */
    public long currentEra() {
        return Integer.toUnsignedLong(buffer.getInt(base + CURRENT_ERA));
    }

    public Superblock currentEra(long era) {
        buffer.putInt(base + CURRENT_ERA, (int) era);
        return this;
    }

    /** Bits (u32) of the current writeset. */
    public long currentWritesetNrBits() {
        return Integer.toUnsignedLong(buffer.getInt(base + CURRENT_WRITESET_NR_BITS));
    }

    /** Root of the current writeset's bitset; 0 when it has been archived or never begun. */
    public long currentWritesetRoot() {
        return buffer.getLong(base + CURRENT_WRITESET_ROOT);
    }

    public Superblock currentWriteset(long nrBits, long root) {
        buffer.putInt(base + CURRENT_WRITESET_NR_BITS, (int) nrBits);
        buffer.putLong(base + CURRENT_WRITESET_ROOT, root);
        return this;
    }

    public long writesetTreeRoot() {
        return buffer.getLong(base + WRITESET_TREE_ROOT);
    }

    public Superblock writesetTreeRoot(long root) {
        buffer.putLong(base + WRITESET_TREE_ROOT, root);
        return this;
    }

    public long eraArrayRoot() {
        return buffer.getLong(base + ERA_ARRAY_ROOT);
    }

    public Superblock eraArrayRoot(long root) {
        buffer.putLong(base + ERA_ARRAY_ROOT, root);
        return this;
    }

    /** Block of the held snapshot's superblock copy, 0 when none is held. */
    public long metadataSnap() {
        return buffer.getLong(base + METADATA_SNAP);
    }

    public Superblock metadataSnap(long block) {
        buffer.putLong(base + METADATA_SNAP, block);
        return this;
    }
}
