// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.cache;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.BlockSet;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;

/**
 * The cache blocks that hold something which a rollback has undone: those whose origin block touches a block of the era
 * device that was written since. What the kernel's {@code invalidate_cblocks} is to be given.
 *
 * <p>Memory: one bit a cache block, and 8 bytes for each block that is to go.
 */
public final class StaleCacheBlocks {
    private static final int CHUNK = 1 << 16;
    /** Times that the metadata of a cache in use is read until nothing was committed in between. */
    private static final int ATTEMPTS = 20;

    private final WrittenSectors written;
    private final BlockSet blocks;
    private final long blockSizeSectors;
    /** Of each block that is to go, ascending: its origin block, shifted by one, and whether it is dirty. */
    private final List<long[]> origins = new ArrayList<>();

    private long mapped;
    private long count;
    private long dirty;

    private StaleCacheBlocks(CacheMetadata cache, WrittenSectors written) {
        this.written = written;
        this.blocks = new BlockSet(cache.cacheBlocks());
        this.blockSizeSectors = cache.blockSizeSectors();
    }

    /**
     * Finds them in metadata that nobody changes meanwhile.
     *
     * @throws DamagedMetadataException when the metadata can't be read to the end, or maps blocks past the origin's end
     */
    public static StaleCacheBlocks find(CacheMetadata cache, WrittenSectors written) throws IOException {
        StaleCacheBlocks stale = new StaleCacheBlocks(cache, written);
        cache.forEachMapping(stale::add);
        return stale;
    }

    /**
     * Finds them in the metadata of a cache in use, which the kernel may be changing: once more from the start whenever
     * something was committed meanwhile.
     *
     * @throws IOException also when that went on for too long
     */
    public static StaleCacheBlocks findLive(BlockDevice device, WrittenSectors written) throws IOException {
        DamagedMetadataException damage = null;
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            CacheMetadata cache = CacheMetadata.read(device);
            try {
                StaleCacheBlocks stale = find(cache, written);
                if (cache.isCurrent()) {
                    return stale;
                }
            } catch (DamagedMetadataException e) {
                if (cache.isCurrent()) {
                    throw e;
                }
                damage = e;
            }
        }
        throw new IOException(
                "the cache's metadata changed each of the " + ATTEMPTS + " times that it was read", damage);
    }

    private void add(long cacheBlock, long originBlock, boolean isDirty) throws IOException {
        mapped++;
        long limit = written.lengthSectors();
        if (originBlock > (limit - 1) / blockSizeSectors) {
            throw new DamagedMetadataException(
                    DamageKind.BAD_FIELD,
                    -1,
                    "mapping array",
                    "mapping array: cache block " + cacheBlock + " holds origin block " + originBlock + " of "
                            + blockSizeSectors + " sectors, past the end of the origin, which has " + limit
                            + " sectors on the era device");
        }
        long begin = originBlock * blockSizeSectors;
        if (!written.anyIn(begin, begin + blockSizeSectors)) {
            return;
        }
        blocks.add(cacheBlock);
        if (count % CHUNK == 0) {
            origins.add(new long[CHUNK]);
        }
        origins.get(origins.size() - 1)[(int) (count % CHUNK)] = originBlock << 1 | (isDirty ? 1 : 0);
        count++;
        dirty += isDirty ? 1 : 0;
    }

    /** The cache blocks that are to go. */
    public BlockSet blocks() {
        return blocks;
    }

    /** How many are to go. */
    public long count() {
        return count;
    }

    /** Cache blocks that hold something. */
    public long mapped() {
        return mapped;
    }

    /** Cache blocks that hold something and may stay. */
    public long kept() {
        return mapped - count;
    }

    /** How many of those that are to go are dirty. */
    public long dirty() {
        return dirty;
    }

    /** Visits the blocks that are to go, ascending. */
    public void forEach(CacheMetadata.MappingVisitor visitor) throws IOException {
        long[] at = {0};
        blocks.forEachRange((begin, end) -> {
            for (long block = begin; block < end; block++, at[0]++) {
                long origin = origins.get((int) (at[0] / CHUNK))[(int) (at[0] % CHUNK)];
                visitor.mapping(block, origin >>> 1, (origin & 1) != 0);
            }
        });
    }
}
