// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.DamagedMetadataException;
import org.junit.jupiter.api.Test;

class BlockCacheTest {
    private final List<String> writes = new ArrayList<>();
    private final BlockDevice device = new WriteLog(new MemoryBlockDevice(400));

    private CachedBlock changed(BlockCache cache, long number) throws IOException {
        CachedBlock block = cache.zeroed(number, BlockType.ARRAY_BLOCK);
        block.data.putLong(100, number);
        cache.changed(block);
        return block;
    }

    @Test
    void memoryIsBoundedAlthoughATransactionIsNot() throws IOException {
        BlockCache cache = new BlockCache(device, 16);
        for (int number = 1; number < 400; number++) {
            changed(cache, number);
            cache.trim();
            assertTrue(cache.size() <= 16, cache.size() + " blocks");
        }
        for (int number = 1; number < 400; number++) {
            assertEquals(number, cache.read(number, BlockType.ARRAY_BLOCK).data.getLong(100));
            cache.trim();
            assertTrue(cache.size() <= 16, cache.size() + " blocks");
        }
    }

    @Test
    void aPinnedBlockStays() throws IOException {
        BlockCache cache = new BlockCache(device, 16);
        CachedBlock pinned = changed(cache, 7);
        pinned.pins++;
        for (int number = 100; number < 200; number++) {
            changed(cache, number);
            cache.trim();
        }
        assertSame(pinned, cache.read(7, BlockType.ARRAY_BLOCK));
    }

    @Test
    void whatIsReleasedIsReadAgainAndWhatIsToBeWrittenStays() throws IOException {
        BlockCache cache = new BlockCache(device, 300);
        CachedBlock written = changed(cache, 7);
        changed(cache, 8).pins++;
        cache.writeChanged();
        CachedBlock toBeWritten = changed(cache, 9);
        writes.clear();
        cache.release();
        assertEquals(2, cache.size());
        assertEquals(List.of(), writes);
        CachedBlock again = cache.read(7, BlockType.ARRAY_BLOCK);
        assertNotSame(written, again);
        assertEquals(7, again.data.getLong(100));
        assertSame(toBeWritten, cache.read(9, BlockType.ARRAY_BLOCK));
        cache.writeChanged();
        assertEquals(List.of("9+1"), writes);
        cache.release();
        assertEquals(1, cache.size(), "the pinned one");
        assertEquals(9, cache.read(9, BlockType.ARRAY_BLOCK).data.getLong(100));
    }

    @Test
    void changedBlocksAreWrittenAscendingAndNeighboursTogether() throws IOException {
        BlockCache cache = new BlockCache(device, 300);
        for (int number : new int[] {9, 7, 5, 6, 300, 301}) {
            changed(cache, number);
        }
        cache.writeChanged();
        assertEquals(List.of("5+3", "9+1", "300+2"), writes);
        writes.clear();
        cache.writeChanged();
        assertEquals(List.of(), writes);
        for (int number = 10; number < 110; number++) {
            changed(cache, number);
        }
        cache.writeChanged();
        assertEquals(List.of("10+64", "74+36"), writes);
    }

    @Test
    void aBlockHasOneKind() throws IOException {
        BlockCache cache = new BlockCache(device, 16);
        changed(cache, 5);
        DamagedMetadataException inMemory =
                assertThrows(DamagedMetadataException.class, () -> cache.read(5, BlockType.BTREE_NODE));
        assertEquals(
                "metadata block 5 (btree node): it is in use as another kind too: array block", inMemory.getMessage());
        cache.writeChanged();
        DamagedMetadataException onDevice = assertThrows(
                DamagedMetadataException.class, () -> new BlockCache(device, 16).read(5, BlockType.BTREE_NODE));
        assertEquals(
                "metadata block 5 (btree node): by its checksum it is another kind: array block",
                onDevice.getMessage());
    }

    @Test
    void aReferenceOutOfTheDeviceIsDamage() {
        BlockCache cache = new BlockCache(device, 16);
        for (long number : new long[] {400, -1, 1L << 40}) {
            assertThrows(DamagedMetadataException.class, () -> cache.read(number, BlockType.BTREE_NODE));
        }
    }

    private final class WriteLog implements BlockDevice {
        private final BlockDevice inner;

        WriteLog(BlockDevice inner) {
            this.inner = inner;
        }

        @Override
        public long sizeBlocks() {
            return inner.sizeBlocks();
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            inner.read(firstBlock, dst);
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            writes.add(firstBlock + "+" + src.remaining() / BLOCK_BYTES);
            inner.write(firstBlock, src);
        }

        @Override
        public void flush() throws IOException {
            inner.flush();
        }

        @Override
        public void close() throws IOException {
            inner.close();
        }
    }
}
