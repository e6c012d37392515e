// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

    private static EraTruth stream(Salvage salvage) throws IOException {
        EraTruth truth = new EraTruth();
        salvage.stream(truth);
        return truth;
    }
}
