// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/** A valid seal says nothing of how old a superblock is. */
class StaleSuperblockTest {
    @Test
    void aLaterStateOnTheDeviceMakesRepairAskForTheCurrentEra() {
        MemoryBlockDevice device = image("sealed-but-stale-superblock");
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
    void anOpenWritesetIsOfALaterEraThanAllThatIsDigested() throws IOException {
        MemoryBlockDevice device = image("current-era-too-low-in-a-sealed-superblock");
        assertFalse(MetadataChecker.check(device).isClean());
        // Era 3 is the least that it can be: what was written last may be of any later one.
        IOException asked = assertThrows(IOException.class, () -> Salvage.open(device, SalvageHints.NONE));
        assertTrue(asked.getMessage().contains("it is at least 3"), asked::getMessage);
        assertEquals(
                7, stream(Salvage.open(device, new SalvageHints(-1, -1, 7))).currentEra());
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
