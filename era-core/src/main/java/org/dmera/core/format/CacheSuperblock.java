// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The superblock of dm-cache metadata: block 0. Little-endian; source: {@code struct cache_disk_superblock} in
 * {@code dm-cache-metadata.c}, versions 1 and 2. What this project reads of it:
 *
 * <pre>
 *   0  u32  csum                 see {@link Flyweight}, salt 9031977
 *   4  u32  FLAGS                1: shut down in order; 2: cache_check is wanted
 *   8  u64  BLOCK_NR             the block's own number
 *  32  u64  MAGIC_OFFSET         06142003, octal
 *  40  u32  VERSION_OFFSET       1 or 2
 * 192  u64  MAPPING_ROOT         root of an array of u64, one for each cache block
 * 232  u32  DATA_BLOCK_SIZE      sectors of 512 bytes in a cache block
 * 236  u32  METADATA_BLOCK_SIZE  sectors in a metadata block: 8
 * 240  u32  CACHE_BLOCKS
 * 252  u32  INCOMPAT_FLAGS
 * 284  u64  DIRTY_ROOT           version 2: root of the bitset of dirty cache blocks
 * </pre>
 *
 * <p>A mapping is {@code origin block << 16 | flags}: see {@link #isValid}, {@link #isDirty}, {@link #originBlock}.
 */
public final class CacheSuperblock extends Flyweight {
    /** What {@link #magic()} must be. */
    public static final long MAGIC = 06142003;
    /** Mixed into the checksum by XOR, as each kind of block has its own. */
    public static final int SALT = 9031977;
    /** Dirty bits are flags of the mappings. */
    public static final int VERSION_DIRTY_IN_MAPPINGS = 1;
    /** Dirty bits are a bitset of their own. */
    public static final int VERSION_DIRTY_BITSET = 2;
    /** The cache was shut down in order: the dirty bits are those of that moment. */
    public static final int FLAG_CLEAN_SHUTDOWN = 1;
    /** The kernel met an error and wants cache_check to be run. */
    public static final int FLAG_NEEDS_CHECK = 2;

    /** Offset of the flags (u32). */
    public static final int FLAGS = 4;
    /** Offset of the block's own number (u64). */
    public static final int BLOCK_NR = 8;
    /** Offset of the magic (u64). */
    public static final int MAGIC_OFFSET = 32;
    /** Offset of the version (u32). */
    public static final int VERSION_OFFSET = 40;
    /** Offset of the root of the mapping array (u64). */
    public static final int MAPPING_ROOT = 192;
    /** Offset of the sectors in a cache block (u32). */
    public static final int DATA_BLOCK_SIZE = 232;
    /** Offset of the sectors in a metadata block (u32). */
    public static final int METADATA_BLOCK_SIZE = 236;
    /** Offset of how many cache blocks there are (u32). */
    public static final int CACHE_BLOCKS = 240;
    /** Offset of the features that a reader must know (u32). */
    public static final int INCOMPAT_FLAGS = 252;
    /** Offset of the root of the dirty bitset (u64). */
    public static final int DIRTY_ROOT = 284;

    private static final long MAPPING_VALID = 1;
    private static final long MAPPING_DIRTY = 2;
    /** Bits of a mapping's value below the number of the origin block. */
    private static final int MAPPING_FLAG_BITS = 16;

    /**
     * Looks at a block.
     *
     * @param buffer little-endian
     * @param offset where in it the block begins, in bytes
     * @return this
     */
    public CacheSuperblock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    /** {@return the flags (u32), as stored} */
    public int flags() {
        return buffer.getInt(base + FLAGS);
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    /** {@return the magic (u64), as stored} */
    public long magic() {
        return buffer.getLong(base + MAGIC_OFFSET);
    }

    /** {@return the version (u32), as stored} */
    public int version() {
        return buffer.getInt(base + VERSION_OFFSET);
    }

    /** {@return the root of the array of mappings (u64)} */
    public long mappingRoot() {
        return buffer.getLong(base + MAPPING_ROOT);
    }

    /** {@return sectors of 512 bytes (u32) in a cache block} */
    public long dataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + DATA_BLOCK_SIZE));
    }

    /** {@return sectors of 512 bytes (u32) in a metadata block, as stored} */
    public long metadataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + METADATA_BLOCK_SIZE));
    }

    /** {@return how many cache blocks there are (u32)} */
    public long cacheBlocks() {
        return Integer.toUnsignedLong(buffer.getInt(base + CACHE_BLOCKS));
    }

    /** {@return the features (u32) that a reader must know to read the metadata} */
    public int incompatFlags() {
        return buffer.getInt(base + INCOMPAT_FLAGS);
    }

    /** {@return the root of the bitset of dirty cache blocks (u64); there from version 2 on} */
    public long dirtyRoot() {
        return buffer.getLong(base + DIRTY_ROOT);
    }

    /**
     * {@return whether a cache block holds anything}
     *
     * @param mapping u64
     */
    public static boolean isValid(long mapping) {
        return (mapping & MAPPING_VALID) != 0;
    }

    /**
     * {@return whether what a cache block holds is newer than the origin; version 1 only}
     *
     * @param mapping u64
     */
    public static boolean isDirty(long mapping) {
        return (mapping & MAPPING_DIRTY) != 0;
    }

    /**
     * {@return bits of a mapping that no version of the format gives a meaning to}
     *
     * @param mapping u64
     */
    public static long unknownFlags(long mapping) {
        return mapping & ((1L << MAPPING_FLAG_BITS) - 1) & ~(MAPPING_VALID | MAPPING_DIRTY);
    }

    /**
     * {@return the origin block, of the cache's block size, that a cache block holds}
     *
     * @param mapping u64
     */
    public static long originBlock(long mapping) {
        return mapping >>> MAPPING_FLAG_BITS;
    }
}
