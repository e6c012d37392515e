// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.CacheSuperblock;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.testkit.CacheImage;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against metadata that the real kernel wrote and what thin-provisioning-tools' cache_dump says of it. */
class CacheMetadataTest {
    @ParameterizedTest
    @ValueSource(strings = {"v1-writethrough", "v2-dirty", "v2-invalidated"})
    void mappingsAreThoseOfThePeersDump(String name) throws IOException {
        MemoryBlockDevice device = recording(name);
        CacheMetadata cache = CacheMetadata.read(device);
        List<String> lines = new ArrayList<>();
        cache.forEachMapping((cacheBlock, originBlock, dirty) -> lines.add("    <mapping cache_block=\"" + cacheBlock
                + "\" origin_block=\"" + originBlock + "\" dirty=\"" + dirty + "\"/>"));
        String dump = new String(
                Fixtures.unxz(Fixtures.folder().resolve("dm-cache/" + name + ".cache.xml.xz")), StandardCharsets.UTF_8);
        assertEquals(dump.lines().filter(line -> line.contains("<mapping ")).toList(), lines);
        assertTrue(
                dump.startsWith("<superblock uuid=\"\" block_size=\"" + cache.blockSizeSectors()
                        + "\" nr_cache_blocks=\"" + cache.cacheBlocks() + "\""),
                dump);
        assertEquals(name.startsWith("v1") ? 1 : 2, cache.version());
        assertEquals(name.equals("v2-dirty"), cache.wasShutDownCleanly());
        assertTrue(cache.isCurrent());
        device.bytes()[0]++;
        assertFalse(cache.isCurrent());
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "2, 1", "1, 509", "2, 510", "1, 4096", "2, 4097", "2, 200000", "1, 130000"})
    void whatWasWrittenIsReadWhateverTheSizeAndVersion(int version, long cacheBlocks) throws IOException {
        SplittableRandom random = new SplittableRandom(cacheBlocks);
        long[] origins = new long[(int) cacheBlocks];
        boolean[] dirty = new boolean[(int) cacheBlocks];
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < cacheBlocks; i++) {
            origins[i] = random.nextInt(3) == 0 ? -1 : random.nextLong(1L << 48);
            dirty[i] = random.nextInt(5) == 0;
            if (origins[i] >= 0) {
                expected.add(i + " " + origins[i] + " " + dirty[i]);
            }
        }
        MemoryBlockDevice device = new MemoryBlockDevice((int) CacheImage.blocksFor(cacheBlocks));
        CacheImage.write(device, version, 128, cacheBlocks, true, new CacheImage.Contents() {
            @Override
            public long originBlock(long cacheBlock) {
                return origins[(int) cacheBlock];
            }

            @Override
            public boolean isDirty(long cacheBlock) {
                return dirty[(int) cacheBlock];
            }
        });
        List<String> read = new ArrayList<>();
        CacheMetadata.read(device).forEachMapping((c, o, d) -> read.add(c + " " + o + " " + d));
        assertEquals(expected, read);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "4 | 2 | needs_check is set",
                "4 | 5 | flags is 5",
                "32 | 7 | magic is 7, expected 1623043",
                "40 | 3 | version is 3, expected 1 or 2",
                "40 | 0 | version is 0, expected 1 or 2",
                "236 | 16 | metadata_block_size is 16, expected 8",
                "232 | 0 | data_block_size is 0",
                "240 | -1 | cache_blocks is 4294967295, expected no more than",
                "252 | 1 | incompat_flags is 1, expected 0",
                "8 | 9 | its own number is 9, expected 0",
                "192 | 0 | mapping array: refers to block 0, expected a block from 1 to",
                "192 | 2000 | mapping array: refers to block 2000, expected a block from 1 to",
                "192 | 1 | mapping array: block 1: expected a btree node",
                "284 | 1 | bitset of dirty blocks: block 1: expected a btree node",
                "240 | 255 | ok",
                "240 | 510 | 4 entries, expected 8"
            })
    void whatCanNotBeReadIsRefusedInOneLine(int offset, int value, String words) throws IOException {
        MemoryBlockDevice device = recording("v2-invalidated");
        ByteBuffer block = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        block.putInt(offset, value);
        CacheImage.sealSuperblock(block);
        if (words.equals("ok")) {
            CacheMetadata.read(device).forEachMapping((c, o, d) -> {});
            return;
        }
        DamagedMetadataException refusal = assertThrows(
                DamagedMetadataException.class, () -> CacheMetadata.read(device).forEachMapping((c, o, d) -> {}));
        assertTrue(refusal.getMessage().contains(words), refusal.getMessage());
        assertEquals(1, refusal.getMessage().lines().count());
    }

    @Test
    void eachFlippedByteOfWhatIsReferredToIsFoundOrHarmless() throws IOException {
        byte[] sound = recording("v2-invalidated").bytes();
        List<String> expected = mappings(new MemoryBlockDevice(sound));
        SplittableRandom random = new SplittableRandom(7);
        for (int trial = 0; trial < 500; trial++) {
            byte[] bytes = sound.clone();
            int at = random.nextInt(64 * BlockDevice.BLOCK_BYTES);
            bytes[at] ^= (byte) (1 << random.nextInt(8));
            try {
                assertEquals(expected, mappings(new MemoryBlockDevice(bytes)), "byte " + at);
            } catch (DamagedMetadataException e) {
                assertFalse(e.getMessage().contains("\n"), e.getMessage());
            }
        }
    }

    @Test
    void anythingButCacheMetadataIsRefused() throws IOException {
        assertRefused(new MemoryBlockDevice(0), "too small");
        assertRefused(new MemoryBlockDevice(5), "bad checksum in dm-cache superblock");
        byte[] era = Fixtures.unxz(Fixtures.folder().resolve("dm-cache/v1-writethrough.era.raw.xz"));
        assertRefused(new MemoryBlockDevice(era), "this is the metadata of an era device");
    }

    @Test
    void flagsOfAMappingThatAreNotKnownAreRefused() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(40);
        CacheImage.write(device, CacheSuperblock.VERSION_DIRTY_BITSET, 64, 10, true, new CacheImage.Contents() {
            @Override
            public long originBlock(long cacheBlock) {
                return cacheBlock;
            }

            @Override
            public boolean isDirty(long cacheBlock) {
                return false;
            }
        });
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        int mapping = BlockDevice.BLOCK_BYTES + ArrayBlock.VALUES + 8 * 3;
        bytes.putLong(mapping, 3L << 16 | 1 | 8);
        new BlockSeal().seal(BlockType.ARRAY_BLOCK, bytes, BlockDevice.BLOCK_BYTES, 1);
        DamagedMetadataException refusal = assertThrows(DamagedMetadataException.class, () -> mappings(device));
        assertEquals("mapping array: cache block 3 has flags 8 that are not known", refusal.getMessage());
    }

    private static void assertRefused(BlockDevice device, String words) {
        DamagedMetadataException refusal =
                assertThrows(DamagedMetadataException.class, () -> CacheMetadata.read(device));
        assertTrue(refusal.getMessage().contains(words), refusal.getMessage());
    }

    private static List<String> mappings(BlockDevice device) throws IOException {
        List<String> mappings = new ArrayList<>();
        CacheMetadata.read(device).forEachMapping((c, o, d) -> mappings.add(c + " " + o + " " + d));
        return mappings;
    }

    private static MemoryBlockDevice recording(String name) {
        return new MemoryBlockDevice(Fixtures.unxz(Fixtures.folder().resolve("dm-cache/" + name + ".cache.raw.xz")));
    }
}
