// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.mend;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.EraTruth;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TreeMenderTest {
    private static final int NR_BLOCKS = 64;

    /** Of two writesets with one root, either may be the one that has lost its own. */
    @ParameterizedTest
    @CsvSource({"0, 1", "1, 0", "0, 2", "2, 0", "2, 1"})
    void onePartIsNotGivenToTwoPlaces(int entry, int other) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(32);
        EraTruth truth = new EraTruth();
        MetadataBuilder builder = new MetadataBuilder(device);
        ByteBuffer word = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        builder.superblock(8, NR_BLOCKS, 7);
        truth.superblock(8, NR_BLOCKS, 7);
        for (int era = 5; era <= 7; era++) {
            word.putLong(0, 1L << era);
            builder.beginWriteset(era, NR_BLOCKS);
            builder.words(0, word, 0, 1);
            builder.endWriteset();
            truth.beginWriteset(era, NR_BLOCKS);
            truth.words(0, word, 0, 1);
        }
        builder.beginEraArray();
        builder.eras(0, ByteBuffer.allocate(NR_BLOCKS * Integer.BYTES), 0, NR_BLOCKS);
        builder.endEraArray();
        builder.end();
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        long root = new Superblock().wrap(bytes, 0).writesetTreeRoot();
        int at = (int) root * BlockDevice.BLOCK_BYTES;
        BTreeNode tree = new BTreeNode().wrap(bytes, at);
        WritesetValue.put(
                bytes, tree.valueOffset(entry), NR_BLOCKS, WritesetValue.root(bytes, tree.valueOffset(other)));
        new BlockSeal().seal(BlockType.BTREE_NODE, bytes, at, root);
        EraTruth repaired = new EraTruth();
        Salvage.open(device, SalvageHints.NONE).stream(repaired);
        assertEquals(0, truth.lostIn(repaired));
    }
}
