// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.CacheImage;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;

class StaleCacheBlocksTest {
    /** What a real rollback invalidated, with every byte right afterwards: see the transcript beside the recording. */
    @Test
    void theRecordedRollbackInvalidatesWhatItDid() throws IOException {
        MemoryBlockDevice era =
                new MemoryBlockDevice(Fixtures.unxz(Fixtures.folder().resolve("dm-cache/v1-writethrough.era.raw.xz")));
        MetadataRoots roots = MetadataRoots.read(era);
        BlockSet written = ChangedBlocks.find(era, roots, 2, ChangedBlocks.NO_BOUND, 1, Runnable::run);
        CacheMetadata cache = CacheMetadata.read(new MemoryBlockDevice(
                Fixtures.unxz(Fixtures.folder().resolve("dm-cache/v1-writethrough.cache.raw.xz"))));
        StaleCacheBlocks stale =
                StaleCacheBlocks.find(cache, WrittenSectors.at(0, written, roots.dataBlockSizeSectors()));
        List<String> ranges = new ArrayList<>();
        stale.blocks().forEachRange((begin, end) -> ranges.add(begin + "-" + end));
        assertEquals(List.of("3-4", "7-10", "40-41", "100-101"), ranges);
        assertEquals(128, stale.mapped());
        assertEquals(122, stale.kept());
        assertEquals(0, stale.dirty());
    }

    /** Any two block sizes, any layers between: sector by sector, against the plain definition. */
    @RepeatedTest(200)
    void aBlockGoesExactlyWhenASectorOfItLiesOnAWrittenBlock(RepetitionInfo repetition) throws IOException {
        SplittableRandom random = new SplittableRandom(repetition.getCurrentRepetition());
        int eraBlock = 8 * random.nextInt(1, 20);
        int cacheBlock = 64 * random.nextInt(1, 9);
        int eraBlocks = random.nextInt(1, 500);
        BlockSet written = new BlockSet(eraBlocks);
        boolean[] isWritten = new boolean[eraBlocks];
        for (int i = random.nextInt(eraBlocks / 4 + 1); i > 0; i--) {
            int block = random.nextInt(eraBlocks);
            written.add(block);
            isWritten[block] = true;
        }
        List<WrittenSectors.Extent> extents = new ArrayList<>();
        int eraSectors = eraBlocks * eraBlock;
        int[] eraSectorOf = new int[0];
        for (int n = random.nextInt(1, 5); n > 0; n--) {
            int length = random.nextInt(1, eraSectors + 1);
            int at = random.nextInt(eraSectors - length + 1);
            extents.add(new WrittenSectors.Extent(eraSectorOf.length, length, at));
            int begin = eraSectorOf.length;
            eraSectorOf = Arrays.copyOf(eraSectorOf, begin + length);
            for (int s = 0; s < length; s++) {
                eraSectorOf[begin + s] = at + s;
            }
        }
        int originBlocks = (eraSectorOf.length + cacheBlock - 1) / cacheBlock;
        int cacheBlocks = random.nextInt(1, 700);
        long[] origins = new long[cacheBlocks];
        List<String> expected = new ArrayList<>();
        long dirty = 0;
        for (int c = 0; c < cacheBlocks; c++) {
            origins[c] = random.nextInt(4) == 0 ? -1 : random.nextInt(originBlocks);
            boolean stale = false;
            for (int s = 0; s < cacheBlock && origins[c] >= 0; s++) {
                long sector = origins[c] * cacheBlock + s;
                stale |= sector < eraSectorOf.length && isWritten[eraSectorOf[(int) sector] / eraBlock];
            }
            if (stale) {
                expected.add(c + " " + origins[c] + " " + (c % 3 == 0));
                dirty += c % 3 == 0 ? 1 : 0;
            }
        }
        MemoryBlockDevice device = new MemoryBlockDevice((int) CacheImage.blocksFor(cacheBlocks));
        CacheImage.write(device, random.nextInt(1, 3), cacheBlock, cacheBlocks, true, new CacheImage.Contents() {
            @Override
            public long originBlock(long c) {
                return origins[(int) c];
            }

            @Override
            public boolean isDirty(long c) {
                return c % 3 == 0;
            }
        });
        StaleCacheBlocks stale = StaleCacheBlocks.findLive(device, new WrittenSectors(written, eraBlock, extents));
        List<String> found = new ArrayList<>();
        stale.forEach((c, o, d) -> found.add(c + " " + o + " " + d));
        assertEquals(expected, found);
        assertEquals(expected.size(), stale.count());
        assertEquals(dirty, stale.dirty());
        assertEquals(Arrays.stream(origins).filter(o -> o >= 0).count(), stale.kept() + stale.count());
    }

    @Test
    void aMappingPastTheEraDevicesEndIsRefused() throws IOException {
        MemoryBlockDevice device = holding(1000);
        DamagedMetadataException refusal = assertThrows(
                DamagedMetadataException.class,
                () -> StaleCacheBlocks.findLive(device, WrittenSectors.at(0, new BlockSet(1000), 8)));
        assertTrue(
                refusal.getMessage().contains("cache block 0 holds origin block 1000 of 64 sectors"),
                refusal.getMessage());
        assertThrows(IOException.class, () -> WrittenSectors.at(8000, new BlockSet(1000), 8));
    }

    /** The kernel commits while we read: what was read then belongs to no moment. */
    @Test
    void metadataThatChangesWhileItIsReadIsReadAgain() throws IOException {
        MemoryBlockDevice before = holding(5);
        MemoryBlockDevice after = holding(6);
        BlockDevice changing = new Changing(before, after, 3);
        BlockSet written = new BlockSet(1000);
        written.add(6 * 8);
        StaleCacheBlocks stale = StaleCacheBlocks.findLive(changing, WrittenSectors.at(0, written, 8));
        assertEquals(1, stale.count());
        assertThrows(
                IOException.class,
                () -> StaleCacheBlocks.findLive(new Restless(before), WrittenSectors.at(0, written, 8)));
    }

    private static MemoryBlockDevice holding(long origin) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(30);
        CacheImage.write(device, 2, 64, 1, true, new CacheImage.Contents() {
            @Override
            public long originBlock(long cacheBlock) {
                return origin;
            }

            @Override
            public boolean isDirty(long cacheBlock) {
                return origin == 6;
            }
        });
        // A commit changes the superblock, whatever else it changes.
        ByteBuffer block = ByteBuffer.wrap(device.bytes()).order(java.nio.ByteOrder.LITTLE_ENDIAN);
        block.putInt(260, (int) origin);
        CacheImage.sealSuperblock(block);
        return device;
    }

    /** Is one device for the first reads, and another from then on. */
    private static class Changing implements BlockDevice {
        private final BlockDevice before;
        private final BlockDevice after;
        private final int change;
        private int reads;

        Changing(BlockDevice before, BlockDevice after, int change) {
            this.before = before;
            this.after = after;
            this.change = change;
        }

        @Override
        public long sizeBlocks() {
            return before.sizeBlocks();
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            (reads++ < change ? before : after).read(firstBlock, dst);
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) {
            throw new AssertionError("nothing is written");
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    /** Commits after each read of the superblock. */
    private static final class Restless extends Changing {
        private final MemoryBlockDevice device;

        Restless(MemoryBlockDevice device) {
            super(device, device, 0);
            this.device = device;
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            super.read(firstBlock, dst);
            ByteBuffer block = ByteBuffer.wrap(device.bytes()).order(java.nio.ByteOrder.LITTLE_ENDIAN);
            block.putInt(264, block.getInt(264) + 1);
            CacheImage.sealSuperblock(block);
        }
    }
}
