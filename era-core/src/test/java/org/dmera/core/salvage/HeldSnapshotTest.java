// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.format.Superblock;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.EraTruth;
import org.junit.jupiter.api.Test;

/** A held snapshot shares blocks with the live trees: that the snapshot still leads to one is no proof that they do. */
class HeldSnapshotTest {
    private static final int FIRST = 7000;
    private static final int MARKS = 48;

    @Test
    void marksWhoseWritesetTheLiveTreeLostAreFoundThoughTheSnapshotLeadsToThem() throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(1024);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(8192);
        metadata.rollover();
        for (int block = FIRST; block < FIRST + MARKS; block++) {
            metadata.mark(block);
        }
        metadata.commit();
        metadata.takeSnapshot();
        metadata.archive();
        metadata.commit();
        EraTruth truth = new EraTruth();
        MetadataScanner.scan(device, MetadataRoots.read(device), truth);
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        Superblock superblock = new Superblock().wrap(bytes, 0);
        assertTrue(superblock.metadataSnap() != 0);

        int root = (int) superblock.writesetTreeRoot() * 4096;
        bytes.put(root + 200, (byte) (bytes.get(root + 200) ^ 0x55));

        assertFalse(MetadataChecker.check(device).isClean());
        EraTruth now = stream(Salvage.open(device, SalvageHints.NONE));
        assertEquals(0, truth.lostIn(now));
        for (int block = FIRST; block < FIRST + MARKS; block++) {
            assertTrue(now.latest()[block] >= 1, "origin block " + block);
        }
    }

    @Test
    void whereSuperblockAndSnapshotDifferInTheSizeOfAnOriginBlockItIsAskedFor() throws Exception {
        MemoryBlockDevice device = heldAfterMarks(24);
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(Superblock.DATA_BLOCK_SIZE, 48);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        IOException asked = assertThrows(IOException.class, () -> Salvage.open(device, SalvageHints.NONE));
        assertTrue(asked.getMessage().contains("say which it is with --block-size"), asked.getMessage());
        asked = assertThrows(IOException.class, () -> Salvage.open(device, new SalvageHints(8, -1, -1)));
        assertTrue(asked.getMessage().contains("not of --block-size 8"), asked.getMessage());
        for (int sectors : new int[] {24, 48}) {
            EraTruth now = stream(Salvage.open(device, new SalvageHints(sectors, -1, -1)));
            assertEquals(sectors, now.dataBlockSizeSectors());
        }
    }

    @Test
    void aSizeThatCantBeIsTheOneThatTheSnapshotHasKept() throws Exception {
        MemoryBlockDevice device = heldAfterMarks(24);
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(Superblock.DATA_BLOCK_SIZE, 3);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        EraTruth now = stream(Salvage.open(device, SalvageHints.NONE));
        assertEquals(24, now.dataBlockSizeSectors());
    }

    @Test
    void aSnapshotFromBeforeTheDeviceWasFormattedAnewSaysNothingOfTheSizeOfAnOriginBlock() throws Exception {
        MemoryBlockDevice device = heldAfterMarks(24);
        Arrays.fill(device.bytes(), 0, 4096, (byte) 0);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(8192);
        metadata.rollover();
        metadata.mark(5);
        metadata.commit();
        EraTruth truth = new EraTruth();
        MetadataScanner.scan(device, MetadataRoots.read(device), truth);
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        int index = (int) new Superblock().wrap(bytes, 0).spaceMapBitmapRoot();
        int nrFree = index * 4096 + 24;
        bytes.putInt(nrFree, bytes.getInt(nrFree) - 1);
        new BlockSeal().seal(BlockType.INDEX, bytes, index * 4096, index);
        EraTruth now = stream(Salvage.open(device, SalvageHints.NONE));
        assertEquals(8, now.dataBlockSizeSectors());
        assertEquals(0, truth.lostIn(now));
    }

    private static MemoryBlockDevice heldAfterMarks(int sectors) throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(1024);
        EraMetadata metadata = EraMetadata.openOrFormat(device, sectors);
        metadata.resize(8192);
        for (int era = 1; era < 9; era++) {
            metadata.rollover();
            metadata.mark(FIRST + era);
            metadata.commit();
        }
        metadata.takeSnapshot();
        metadata.commit();
        return device;
    }

    private static EraTruth stream(Salvage salvage) throws IOException {
        EraTruth truth = new EraTruth();
        salvage.stream(truth);
        return truth;
    }
}
