// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.cache;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.CacheSuperblock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;
import org.dmera.core.read.ArrayScanner;
import org.dmera.core.read.BlockSource;
import org.dmera.core.read.ReadOnce;

/**
 * The metadata of a cache: the fields of its superblock, validated, and the mappings that it leads to.
 *
 * <p>On the metadata of a cache in use, what is read belongs together only while {@link #isCurrent} holds: the kernel
 * never overwrites a block that the last committed superblock leads to, but does so after the next commit.
 */
public final class CacheMetadata {
    /** Receives the cache blocks that hold something, in ascending order. */
    public interface MappingVisitor {
        /**
         * Cache block {@code cacheBlock} holds origin block {@code originBlock}, both of {@link #blockSizeSectors}.
         *
         * @param dirty whether the metadata has it as newer than the origin
         */
        void mapping(long cacheBlock, long originBlock, boolean dirty) throws IOException;
    }

    /** Rereads of a superblock that the kernel may be rewriting at the very moment. */
    private static final int ATTEMPTS = 5;

    private static final String SUPERBLOCK = "dm-cache superblock";
    private static final String MAPPINGS = "mapping array";

    private final BlockDevice device;
    private final int checksum;
    private final int version;
    private final boolean cleanShutdown;
    private final long blockSizeSectors;
    private final long cacheBlocks;
    private final long mappingRoot;
    private final long dirtyRoot;

    private CacheMetadata(BlockDevice device, CacheSuperblock superblock) throws DamagedMetadataException {
        this.device = device;
        checksum = superblock.checksum();
        version = superblock.version();
        int flags = superblock.flags();
        cleanShutdown = (flags & CacheSuperblock.FLAG_CLEAN_SHUTDOWN) != 0;
        blockSizeSectors = superblock.dataBlockSizeSectors();
        cacheBlocks = superblock.cacheBlocks();
        mappingRoot = superblock.mappingRoot();
        dirtyRoot = superblock.dirtyRoot();

        expect(superblock.magic() == CacheSuperblock.MAGIC, "magic", superblock.magic(), "1623043");
        expect(
                version == CacheSuperblock.VERSION_DIRTY_IN_MAPPINGS || version == CacheSuperblock.VERSION_DIRTY_BITSET,
                "version",
                Integer.toUnsignedLong(version),
                "1 or 2");
        expect(
                superblock.incompatFlags() == 0,
                "incompat_flags",
                Integer.toUnsignedLong(superblock.incompatFlags()),
                "0: a feature that is not known");
        if ((flags & CacheSuperblock.FLAG_NEEDS_CHECK) != 0) {
            throw new DamagedMetadataException(
                    DamageKind.BAD_FIELD,
                    0,
                    SUPERBLOCK,
                    "dm-cache superblock: needs_check is set: run cache_check, and cache_repair if it finds damage");
        }
        expect(
                (flags & ~CacheSuperblock.FLAG_CLEAN_SHUTDOWN) == 0,
                "flags",
                Integer.toUnsignedLong(flags),
                "no others than clean_shutdown (1) and needs_check (2)");
        expect(
                superblock.metadataBlockSizeSectors() * 512 == BlockDevice.BLOCK_BYTES,
                "metadata_block_size",
                superblock.metadataBlockSizeSectors(),
                "8");
        expect(blockSizeSectors > 0, "data_block_size", blockSizeSectors, "more than 0");
        expect(
                cacheBlocks <= Math.min(device.sizeBlocks() * ArrayBlock.WORDS_PER_BLOCK, Limits.MAX_ORIGIN_BLOCKS),
                "cache_blocks",
                cacheBlocks,
                "no more than " + device.sizeBlocks() + " metadata blocks can map, and less than 2^31");
    }

    /**
     * Reads the superblock.
     *
     * @param device the cache's metadata device, suspended, offline, or in use
     * @throws DamagedMetadataException with {@code bad checksum in dm-cache superblock}, or with the field that can't be
     *     read: an unknown version or flag, or {@code needs_check}
     */
    public static CacheMetadata read(BlockDevice device) throws IOException {
        if (device.sizeBlocks() == 0) {
            throw new DamagedMetadataException(
                    DamageKind.UNREADABLE, 0, SUPERBLOCK, "the device is too small for dm-cache metadata");
        }
        ByteBuffer block = BlockSource.newBuffer(1);
        BlockSeal seal = new BlockSeal();
        boolean sealed = false;
        for (int attempt = 0; attempt < ATTEMPTS && !sealed; attempt++) {
            device.read(0, block.clear());
            sealed = block.getInt(0) == (seal.unsaltedChecksum(block, 0) ^ CacheSuperblock.SALT);
        }
        CacheSuperblock superblock = new CacheSuperblock().wrap(block, 0);
        if (!sealed) {
            throw new DamagedMetadataException(
                    DamageKind.BAD_CHECKSUM,
                    0,
                    SUPERBLOCK,
                    "bad checksum in dm-cache superblock"
                            + (seal.identify(block, 0) == BlockType.SUPERBLOCK
                                    ? ": this is the metadata of an era device"
                                    : ""));
        }
        expect(superblock.blockNr() == 0, "its own number", superblock.blockNr(), "0");
        return new CacheMetadata(device, superblock);
    }

    private static void expect(boolean holds, String field, long value, String expected)
            throws DamagedMetadataException {
        if (!holds) {
            throw new DamagedMetadataException(
                    DamageKind.BAD_FIELD,
                    0,
                    SUPERBLOCK,
                    "dm-cache superblock: " + field + " is " + Long.toUnsignedString(value) + ", expected " + expected);
        }
    }

    /** The format's version, 1 or 2. */
    public int version() {
        return version;
    }

    /** Sectors of 512 bytes in a cache block. */
    public long blockSizeSectors() {
        return blockSizeSectors;
    }

    /** How many blocks the cache has. */
    public long cacheBlocks() {
        return cacheBlocks;
    }

    /**
     * Whether the dirty bits are those of an orderly end. Not so while the cache is in use; and after a crash, when the
     * kernel takes every block for dirty, whatever the bits are.
     */
    public boolean wasShutDownCleanly() {
        return cleanShutdown;
    }

    /** Whether the superblock on the device is still the one that was read. */
    public boolean isCurrent() throws IOException {
        ByteBuffer block = BlockSource.newBuffer(1);
        device.read(0, block);
        return block.getInt(0) == checksum;
    }

    /**
     * Visits the cache blocks that hold something.
     *
     * @throws DamagedMetadataException when an array can't be read to its end, or a mapping has flags that aren't known
     */
    public void forEachMapping(MappingVisitor visitor) throws IOException {
        ReadOnce reading = new ReadOnce(device);
        ArrayScanner arrays = new ArrayScanner(reading);
        DirtyBits dirty = new DirtyBits();
        if (version == CacheSuperblock.VERSION_DIRTY_BITSET) {
            arrays.scan(dirtyRoot, (cacheBlocks + 63) / 64, ArrayBlock.WORD_BYTES, "bitset of dirty blocks", dirty);
        }
        arrays.scan(mappingRoot, cacheBlocks, ArrayBlock.WORD_BYTES, MAPPINGS, new Mappings(visitor, dirty));
    }

    /** The bitset of version 2: kept only from the first dirty block on, since a cache that is rolled back has none. */
    private final class DirtyBits implements ArrayScanner.ValueVisitor {
        private long[] words = new long[0];

        @Override
        public void values(long firstWord, ByteBuffer buffer, int offset, int count) {
            for (int i = 0; i < count; i++) {
                long word = buffer.getLong(offset + 8 * i);
                if (word != 0) {
                    if (words.length == 0) {
                        words = new long[(int) ((cacheBlocks + 63) / 64)];
                    }
                    words[(int) firstWord + i] = word;
                }
            }
        }

        boolean contains(long cacheBlock) {
            return words.length != 0 && (words[(int) (cacheBlock >>> 6)] >>> cacheBlock & 1) != 0;
        }
    }

    private final class Mappings implements ArrayScanner.ValueVisitor {
        private final MappingVisitor visitor;
        private final DirtyBits dirty;

        Mappings(MappingVisitor visitor, DirtyBits dirty) {
            this.visitor = visitor;
            this.dirty = dirty;
        }

        @Override
        public void values(long firstCacheBlock, ByteBuffer buffer, int offset, int count) throws IOException {
            for (int i = 0; i < count; i++) {
                long mapping = buffer.getLong(offset + 8 * i);
                if (mapping == 0) {
                    continue;
                }
                long cacheBlock = firstCacheBlock + i;
                if (CacheSuperblock.unknownFlags(mapping) != 0) {
                    throw new DamagedMetadataException(
                            DamageKind.UNKNOWN_FLAG,
                            -1,
                            MAPPINGS,
                            MAPPINGS + ": cache block " + cacheBlock + " has flags "
                                    + CacheSuperblock.unknownFlags(mapping) + " that are not known");
                }
                if (CacheSuperblock.isValid(mapping)) {
                    boolean isDirty = version == CacheSuperblock.VERSION_DIRTY_BITSET
                            ? dirty.contains(cacheBlock)
                            : CacheSuperblock.isDirty(mapping);
                    visitor.mapping(cacheBlock, CacheSuperblock.originBlock(mapping), isDirty);
                }
            }
        }
    }
}
