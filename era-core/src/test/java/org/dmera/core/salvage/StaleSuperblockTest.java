// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.Superblock;
import org.dmera.core.metadata.Digest;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/** A valid seal says nothing of how old a superblock is. */
class StaleSuperblockTest {
    @Test
    void whereALaterStateIsOnTheDeviceNoMarkIsLostAndTheCurrentEraIsAboveAllThatAnyoneMayKnow() throws IOException {
        MemoryBlockDevice device = image("sealed-but-stale-superblock");
        Salvage late = Salvage.open(device, SalvageHints.NONE);
        EraTruth now = stream(late);
        assertTrue(now.currentEra() > 1 << 20, late.remarks()::toString);
        assertTrue(late.remarks().get(0).contains("--current-era"), late.remarks()::toString);
        assertEquals(
                0, stream(Salvage.open(device, new SalvageHints(-1, -1, 9))).lostIn(now));
    }

    @Test
    void whereNoEraIsLateEnoughTheCurrentOneIsAskedFor() throws IOException {
        MemoryBlockDevice device = image("sealed-but-stale-superblock");
        Superblock superblock =
                new Superblock().wrap(ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN), 0);
        superblock.currentEra((1L << 31) - 1000);
        new BlockSeal().seal(BlockType.SUPERBLOCK, superblock.buffer(), 0, 0);
        IOException refusal = assertThrows(IOException.class, () -> Salvage.open(device, SalvageHints.NONE));
        assertTrue(refusal.getMessage().contains("--current-era"), refusal::getMessage);
    }

    @Test
    void withTheCurrentEraAStaleSuperblockCostsNoMark() throws IOException {
        MemoryBlockDevice device = image("sealed-but-stale-superblock");
        byte[] lost = device.bytes().clone();
        java.util.Arrays.fill(lost, 0, 4096, (byte) 0);
        Salvage stale = Salvage.open(device, new SalvageHints(-1, -1, 9));
        EraTruth now = stream(stale);
        Salvage searched = Salvage.open(
                new MemoryBlockDevice(lost), new SalvageHints(now.dataBlockSizeSectors(), now.latest().length, 9));
        assertEquals(0, stream(searched).lostIn(now), () -> stale.remarks().toString());
        assertEquals(9, now.currentEra());
    }

    @Test
    void aStaleSuperblockThatIsPutRightByItsChecksumIsComparedWithLaterStatesLikeAnyOther() throws IOException {
        int flippedBit = Superblock.WRITESET_TREE_ROOT;
        int writtenOver = 4000;
        for (int at : new int[] {flippedBit, writtenOver}) {
            MemoryBlockDevice device = image("sealed-but-stale-superblock");
            device.bytes()[at] ^= 4;
            Salvage salvage = Salvage.open(device, SalvageHints.NONE);
            assertTrue(salvage.remarks().get(0).contains("checksum"), salvage.remarks()::toString);
            assertTrue(salvage.remarks().get(1).contains("--current-era"), salvage.remarks()::toString);
            assertTrue(salvage.currentEra() > 1 << 20, salvage.remarks()::toString);
        }
    }

    @Test
    void anOpenWritesetIsOfALaterEraThanAllThatIsDigested() throws IOException {
        MemoryBlockDevice device = image("current-era-too-low-in-a-sealed-superblock");
        assertFalse(MetadataChecker.check(device).isClean());
        // Era 3 is the least that it can be: what was written last may be of any later one.
        Salvage late = Salvage.open(device, SalvageHints.NONE);
        assertEquals(3 + (1 << 20), stream(late).currentEra());
        assertTrue(late.remarks().get(0).contains("at least 3"), late.remarks()::toString);
        assertEquals(
                7, stream(Salvage.open(device, new SalvageHints(-1, -1, 7))).currentEra());
    }

    /** An era above the superblock's, given for a device whose array holds a later one still, would lower that one. */
    @Test
    void noEraOfTheArrayIsLoweredToOneThatIsGiven() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(256);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(100);
        for (int era = 1; era <= 30; era++) {
            metadata.rollover();
        }
        metadata.mark(5);
        metadata.archive();
        Digest digest = new Digest(metadata);
        digest.begin();
        while (digest.step()) {}
        metadata.commit();
        Superblock superblock =
                new Superblock().wrap(ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN), 0);
        superblock.currentEra(10);
        new BlockSeal().seal(BlockType.SUPERBLOCK, superblock.buffer(), 0, 0);
        IOException refusal = assertThrows(IOException.class, () -> Salvage.open(device, new SalvageHints(-1, -1, 20)));
        assertEquals("the metadata holds era 30, above --current-era 20", refusal.getMessage());
        EraTruth now = stream(Salvage.open(device, new SalvageHints(-1, -1, 30)));
        assertEquals(30, now.currentEra());
        assertEquals(30, now.latest()[5]);
    }

    @Test
    void aPartThatTheLiveTreesLostCountsEvenIfTheSnapshotStillHasIt() throws IOException {
        for (String name : new String[] {"snapshot-held-stale-leaf", "snapshot-held-stale-pointer"}) {
            MemoryBlockDevice device = image(name);
            assertTrue(MetadataChecker.check(device).isBeyondAutoRepair(), name);
            for (int era : stream(Salvage.open(device, SalvageHints.NONE)).latest()) {
                assertTrue(era > 0, name);
            }
        }
    }

    @Test
    void whereNothingElseCanBeReadTheSuperblockIsTheLastWord() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(64);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(100);
        metadata.commit();
        java.util.Arrays.fill(device.bytes(), 4096, device.bytes().length, (byte) 0);
        assertEquals(100, Salvage.open(device, SalvageHints.NONE).nrBlocks());
    }

    private static EraTruth stream(Salvage salvage) throws IOException {
        EraTruth truth = new EraTruth();
        salvage.stream(truth);
        return truth;
    }

    private static MemoryBlockDevice image(String name) {
        return new MemoryBlockDevice(
                Fixtures.unxz(Fixtures.folder().resolve("repair").resolve(name + ".img.xz")));
    }
}
