// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicReference;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Health;
import org.dmera.testkit.MetadataDiff;
import org.dmera.testkit.RecordingBlockDevice;
import org.junit.jupiter.api.Test;

class EraMetadataTest {
    private final MemoryBlockDevice memory = new MemoryBlockDevice(256);

    private EraMetadata begun(int nrBlocks) throws IOException {
        EraMetadata metadata = EraMetadata.openOrFormat(memory, 8);
        metadata.resize(nrBlocks);
        metadata.newEra();
        metadata.commit();
        return metadata;
    }

    @Test
    void aCommitTakesTwoFlushesAndWritesTheSuperblockBetweenThem() throws IOException {
        RecordingBlockDevice device = new RecordingBlockDevice(memory);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        assertEquals(2, device.flushCount());
        metadata.resize(5000);
        metadata.newEra();
        metadata.commit();
        assertEquals(4, device.flushCount());
        int events = device.eventCount();
        metadata.commit();
        assertEquals(3, device.eventCount() - events, "an empty commit: flush, superblock, flush");
    }

    @Test
    void anEmptyCommitChangesNoByte() throws IOException {
        EraMetadata metadata = begun(5000);
        metadata.commit();
        byte[] before = memory.bytes().clone();
        metadata.commit();
        assertArrayEquals(before, memory.bytes());
    }

    @Test
    void memoryIsGivenUpBetweenAnyTwoStepsAndNothingChanges() throws IOException {
        byte[][] results = new byte[2][];
        for (int release = 0; release < 2; release++) {
            MemoryBlockDevice device = new MemoryBlockDevice(256);
            EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
            metadata.resize(5000);
            for (int era = 1; era <= 6; era++) {
                metadata.newEra();
                metadata.commit();
                for (int block = era; block < 5000; block += 100 * era) {
                    metadata.mark(block);
                    if (release == 1) {
                        metadata.releaseMemory();
                    }
                }
                metadata.commit();
                metadata.archive();
                if (release == 1) {
                    metadata.releaseMemory();
                }
            }
            metadata.commit();
            int[] eras = new int[5000];
            metadata.readEras(0, 5000, eras, 0);
            assertArrayEquals(EraModel.read(device).eras(), eras);
            results[release] = device.bytes();
        }
        assertArrayEquals(results[0], results[1]);
    }

    @Test
    void uncommittedMarksAreReadButNotOnTheDevice() throws IOException {
        EraMetadata metadata = begun(5000);
        metadata.mark(4999);
        metadata.mark(70);
        int[] eras = new int[3];
        metadata.readEras(69, 3, eras, 0);
        assertArrayEquals(new int[] {0, 1, 0}, eras);
        metadata.readEras(4999, 1, eras, 2);
        assertEquals(1, eras[2]);
        assertArrayEquals(new int[5000], EraModel.read(memory).eras());
        metadata.commit();
        assertEquals(1, EraModel.read(memory).eras()[70]);
    }

    @Test
    void aRefusedSnapshotChangesNothingAndFailsNothing() throws Exception {
        EraMetadata metadata = begun(100);
        assertEquals(
                "no snap to drop",
                assertThrows(RefusedException.class, metadata::dropSnapshot).getMessage());
        metadata.takeSnapshot();
        metadata.commit();
        assertEquals(
                "metadata snapshot already exists",
                assertThrows(RefusedException.class, metadata::takeSnapshot).getMessage());
        assertNull(metadata.failure());
        assertEquals(2, metadata.currentEra());
        metadata.dropSnapshot();
        metadata.commit();
        Health.require(memory, "dropped");
    }

    @Test
    void anotherThreadIsTurnedAwayUntilItIsPassedOn() throws Exception {
        EraMetadata metadata = begun(100);
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread other = new Thread(
                () -> {
                    try {
                        metadata.mark(1);
                    } catch (IOException | RuntimeException e) {
                        thrown.set(e);
                    }
                },
                "other");
        other.start();
        other.join();
        assertEquals(
                "era metadata belongs to thread " + Thread.currentThread().getName() + " and was called by other",
                thrown.get().getMessage());
    }

    @Test
    void marksOutsideTheWritesetOrWithoutOneFailNothing() throws IOException {
        EraMetadata metadata = begun(100);
        assertThrows(IllegalArgumentException.class, () -> metadata.mark(100));
        assertThrows(IllegalArgumentException.class, () -> metadata.mark(-1));
        metadata.archive();
        assertFalse(metadata.hasCurrentWriteset());
        assertThrows(IllegalStateException.class, () -> metadata.mark(1));
        assertThrows(IllegalStateException.class, metadata::archive);
        assertNull(metadata.failure());
        metadata.newEra();
        metadata.mark(1);
        metadata.commit();
        Health.require(memory, "gone on");
    }

    @Test
    void theLastEraIsFollowedByEraZero() throws IOException {
        EraMetadata metadata = begun(200);
        metadata.mark(7);
        metadata.commit();
        ByteBuffer bytes = ByteBuffer.wrap(memory.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        new Superblock().wrap(bytes, 0).currentEra(0xffffffffL);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        EraMetadata last = EraMetadata.open(memory, 8, 64);
        assertEquals(0xffffffffL, last.currentEra());
        last.mark(8);
        last.rollover();
        last.mark(9);
        assertEquals(0, last.currentEra());
        int[] eras = new int[200];
        last.readEras(0, 200, eras, 0);
        assertEquals(-1, eras[7]);
        assertEquals(-1, eras[8]);
        assertEquals(0, eras[9]);
        last.commit();
        assertArrayEquals(eras, EraModel.read(memory).eras());
    }

    @Test
    void aSuperblockThatSomebodyElseWroteIsNoticed() throws IOException {
        EraMetadata one = begun(100);
        EraMetadata two = EraMetadata.openOrFormat(memory, 8);
        assertTrue(one.isCurrentOnDevice());
        two.rollover();
        two.commit();
        assertFalse(one.isCurrentOnDevice());
        assertTrue(two.isCurrentOnDevice());
    }

    @Test
    void aSuperblockThatCantBeUsedIsNamedWithWhatWasExpected() throws IOException {
        begun(100);
        assertRefused("made for blocks of 8 sectors, not of 16", 16, sb -> {});
        assertRefused("version is 2, expected 1", 8, sb -> sb.version(2));
        assertRefused("magic is 5, expected 2126579579", 8, sb -> sb.magic(5));
        assertRefused("nr_blocks is 2147483648, expected at most 2147483647", 8, sb -> sb.nrBlocks(1L << 31));
        assertRefused(
                "its space map covers 257 blocks; the device has 256 usable ones",
                8,
                sb -> sb.spaceMapRoot(257, 10, sb.spaceMapBitmapRoot(), sb.spaceMapRefCountRoot()));
        memory.bytes()[300] ^= 1;
        DamagedMetadataException e =
                assertThrows(DamagedMetadataException.class, () -> EraMetadata.open(memory, 8, 64));
        assertEquals("metadata block 0 (superblock): its checksum is wrong", e.getMessage());
    }

    private interface Spoil {
        void apply(Superblock superblock);
    }

    private void assertRefused(String problem, long blockSize, Spoil spoil) {
        byte[] copy = memory.bytes().clone();
        ByteBuffer bytes = ByteBuffer.wrap(copy).order(ByteOrder.LITTLE_ENDIAN);
        spoil.apply(new Superblock().wrap(bytes, 0));
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        DamagedMetadataException e = assertThrows(
                DamagedMetadataException.class, () -> EraMetadata.openOrFormat(new MemoryBlockDevice(copy), blockSize));
        assertEquals("metadata block 0 (superblock): " + problem, e.getMessage());
    }

    @Test
    void damagedBlocksAreErrorsThatNameThem() throws IOException {
        EraMetadata metadata = begun(5000);
        metadata.commit();
        Superblock sb = new Superblock().wrap(ByteBuffer.wrap(memory.bytes()).order(ByteOrder.LITTLE_ENDIAN), 0);
        int root = (int) sb.eraArrayRoot();
        memory.bytes()[root * 4096 + 100] ^= 4;
        EraMetadata again = EraMetadata.open(memory, 8, 64);
        DamagedMetadataException e =
                assertThrows(DamagedMetadataException.class, () -> again.readEras(0, 1, new int[1], 0));
        assertEquals("metadata block " + root + " (btree node): its checksum fits no kind of block", e.getMessage());
        assertNull(again.failure(), "a failed read fails no change");
    }

    @Test
    void growingGivesNewBlocksEraZeroAndShrinkingForgets() throws IOException {
        EraMetadata metadata = begun(3000);
        metadata.mark(2500);
        metadata.archive();
        Digest digest = new Digest(metadata);
        digest.begin();
        while (digest.step()) {
            // To the end.
        }
        metadata.resize(2000);
        metadata.resize(4000);
        metadata.newEra();
        metadata.commit();
        assertArrayEquals(new int[4000], EraModel.read(memory).eras());
        assertThrows(IllegalArgumentException.class, () -> metadata.resize(Limits.MAX_ORIGIN_BLOCKS + 1));
        Health.require(memory, "regrown");
    }

    @Test
    void aFormatThatIsOpenedAgainGoesOn() throws IOException {
        EraMetadata.openOrFormat(memory, 8);
        EraMetadata again = EraMetadata.openOrFormat(memory, 8);
        assertFalse(again.wasFormatted());
        again.resize(3000);
        again.newEra();
        again.mark(2);
        again.commit();
        assertEquals(1, EraModel.read(memory).eras()[2]);
    }

    @Test
    void theDiffNamesTheStructureThatDiffers() throws IOException {
        EraMetadata metadata = begun(5000);
        MemoryBlockDevice copy = new MemoryBlockDevice(memory.bytes().clone());
        assertEquals(java.util.List.of(), MetadataDiff.compare(memory, copy));
        metadata.mark(4000);
        metadata.commit();
        String differences = MetadataDiff.compare(copy, memory).toString();
        assertTrue(differences.contains(": superblock: "), differences);
        assertTrue(differences.contains("unused / current writeset, block 0: "), differences);
    }
}
