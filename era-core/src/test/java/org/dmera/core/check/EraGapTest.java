// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Superblock;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Eras that have no writeset: never had one, as a restored snapshot shows them, or have lost it. */
class EraGapTest {
    static List<String> imagesWithSnapshot() {
        List<String> names = new ArrayList<>();
        for (JsonNode image : Fixtures.images()) {
            if (image.hasNonNull("snapshot")) {
                names.add(image.get("name").asText());
            }
        }
        return names;
    }

    @ParameterizedTest
    @MethodSource("imagesWithSnapshot")
    void aRestoredSnapshotIsCleanIsSalvagedAsItIsAndStaysCleanUnderTheEngine(String name) throws IOException {
        MemoryBlockDevice live = new MemoryBlockDevice(Fixtures.imageBytes(Fixtures.image(name)));
        MetadataRoots snapshot = MetadataRoots.readSnapshot(live);
        EraTruth truth = new EraTruth();
        MetadataScanner.scan(live, snapshot, truth);
        MemoryBlockDevice device = new MemoryBlockDevice((int) live.sizeBlocks());
        MetadataScanner.scan(live, snapshot, new MetadataBuilder(device));
        CheckReport report = assertClean(device);
        // The era in which the snapshot was taken has no writeset; others may, if they were not digested.
        assertTrue(report.count(DamageKind.ERA_WITHOUT_WRITESET) <= 1, report::toString);
        assertArrayEquals(truth.latest(), salvaged(device).latest());

        EraMetadata metadata = EraMetadata.open(device, snapshot.dataBlockSizeSectors(), 64);
        for (int round = 0; round < 3; round++) {
            metadata.rollover();
            metadata.mark(round % snapshot.nrBlocks());
            metadata.commit();
            assertClean(device);
            EraTruth now = new EraTruth();
            MetadataScanner.scan(device, MetadataRoots.read(device), now);
            assertArrayEquals(now.latest(), salvaged(device).latest());
        }
    }

    @Test
    void aLostWritesetIsFatalInTheMiddleAndAtTheEndAndItsBlocksComeOutWritten() throws IOException, RefusedException {
        for (int lost : new int[] {1, 2}) {
            MemoryBlockDevice device = new MemoryBlockDevice(256);
            EraMetadata metadata = EraMetadata.openOrFormat(device, 8, 64);
            metadata.resize(1000);
            for (int era = 1; era <= 4; era++) {
                metadata.rollover();
                metadata.mark(100 * era);
                metadata.commit();
            }
            EraTruth truth = salvaged(device);
            forgetWriteset(device, lost);
            CheckReport report = MetadataChecker.check(device);
            assertEquals(1, report.count(DamageKind.ERA_MISSING), report::toString);
            assertTrue(report.isBeyondAutoRepair());
            assertEquals(0, truth.lostIn(salvaged(device)));
        }
    }

    /** Takes entry {@code index} out of the writeset tree's root, which is a leaf. */
    private static void forgetWriteset(MemoryBlockDevice device, int index) {
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        long root = new Superblock().wrap(bytes, 0).writesetTreeRoot();
        BTreeNode leaf = new BTreeNode().wrap(bytes, (int) root * 4096);
        int n = leaf.nrEntries();
        assertEquals(3, n);
        for (int i = index; i + 1 < n; i++) {
            leaf.key(i, leaf.key(i + 1));
            for (int b = 0; b < 12; b++) {
                bytes.put(leaf.valueOffset(i) + b, bytes.get(leaf.valueOffset(i + 1) + b));
            }
        }
        leaf.nrEntries(n - 1);
        new BlockSeal().seal(BlockType.BTREE_NODE, bytes, (int) root * 4096, root);
    }

    private static CheckReport assertClean(MemoryBlockDevice device) throws IOException {
        CheckReport report = MetadataChecker.check(device);
        assertTrue(report.isClean(), report::toString);
        return report;
    }

    private static EraTruth salvaged(MemoryBlockDevice device) throws IOException {
        EraTruth content = new EraTruth();
        Salvage.open(device, SalvageHints.NONE).stream(content);
        return content;
    }
}
