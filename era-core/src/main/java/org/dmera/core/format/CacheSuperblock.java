// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.nio.ByteBuffer;

/**
 * The superblock of dm-cache metadata: block 0.
 *
 * <p>Layout (little-endian; source: the kernel's dm-cache on-disk format, versions 1 and 2): checksum, flags, own number,
 * uuid, magic, version; the policy's name and the size of its hints; the root of the metadata space map in a field of
 * 128 bytes; the roots of the mapping array, the hint array and the discard bitset; the sizes; the compatibility flags;
 * statistics; the policy's version; in version 2 the root of the bitset of dirty cache blocks.
 *
 * <p>The mapping array has a u64 for each cache block, see {@link #isValid}, {@link #isDirty}, {@link #originBlock}.
 */
public final class CacheSuperblock extends Flyweight {
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

    public static final int FLAGS = 4;
    public static final int BLOCK_NR = 8;
    public static final int MAGIC_OFFSET = 32;
    public static final int VERSION_OFFSET = 40;
    public static final int MAPPING_ROOT = 192;
    public static final int DATA_BLOCK_SIZE = 232;
    public static final int METADATA_BLOCK_SIZE = 236;
    public static final int CACHE_BLOCKS = 240;
    public static final int INCOMPAT_FLAGS = 252;
    public static final int DIRTY_ROOT = 284;

    private static final long MAPPING_VALID = 1;
    private static final long MAPPING_DIRTY = 2;
    /** Bits of a mapping's value below the number of the origin block. */
    private static final int MAPPING_FLAG_BITS = 16;

    /** Looks at the block at {@code offset}; returns this. */
    public CacheSuperblock wrap(ByteBuffer buffer, int offset) {
        view(buffer, offset);
        return this;
    }

    public int flags() {
        return buffer.getInt(base + FLAGS);
    }

    @Override
    public long blockNr() {
        return buffer.getLong(base + BLOCK_NR);
    }

    public long magic() {
        return buffer.getLong(base + MAGIC_OFFSET);
    }

    public int version() {
        return buffer.getInt(base + VERSION_OFFSET);
    }

    /** Root of the array of mappings: a u64 for each cache block. */
    public long mappingRoot() {
        return buffer.getLong(base + MAPPING_ROOT);
    }

    /** Sectors (u32) of a cache block. */
    public long dataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + DATA_BLOCK_SIZE));
    }

    public long metadataBlockSizeSectors() {
        return Integer.toUnsignedLong(buffer.getInt(base + METADATA_BLOCK_SIZE));
    }

    /** Cache blocks (u32). */
    public long cacheBlocks() {
        return Integer.toUnsignedLong(buffer.getInt(base + CACHE_BLOCKS));
    }

    /** Features that a reader must know to read the metadata. */
    public int incompatFlags() {
        return buffer.getInt(base + INCOMPAT_FLAGS);
    }

    /** Root of the bitset of dirty cache blocks; there from version 2 on. */
    public long dirtyRoot() {
        return buffer.getLong(base + DIRTY_ROOT);
    }

    /** Whether the cache block with this mapping holds anything. */
    public static boolean isValid(long mapping) {
        return (mapping & MAPPING_VALID) != 0;
    }

    /** Whether what it holds is newer than the origin; version 1 only. */
    public static boolean isDirty(long mapping) {
        return (mapping & MAPPING_DIRTY) != 0;
    }

    /** Bits of a mapping that no version of the format gives a meaning to. */
    public static long unknownFlags(long mapping) {
        return mapping & ((1L << MAPPING_FLAG_BITS) - 1) & ~(MAPPING_VALID | MAPPING_DIRTY);
    }

    /** The origin block, of the cache's block size, that is held. */
    public static long originBlock(long mapping) {
        return mapping >>> MAPPING_FLAG_BITS;
    }
}
