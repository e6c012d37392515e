// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.Stream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class KernelImageFormatTest {
    static Stream<JsonNode> images() {
        return Fixtures.images().stream();
    }

    @ParameterizedTest
    @MethodSource("images")
    void superblockFieldsAreTheRecordedOnes(JsonNode image) {
        ByteBuffer bytes = ByteBuffer.wrap(Fixtures.imageBytes(image)).order(ByteOrder.LITTLE_ENDIAN);
        Superblock sb = new Superblock().wrap(bytes, 0);
        JsonNode want = image.get("superblock");
        assertEquals(BlockSeal.Verdict.OK, new BlockSeal().verify(BlockType.SUPERBLOCK, bytes, 0, 0));
        assertEquals(want.get("csum").asLong(), Integer.toUnsignedLong(sb.checksum()));
        assertEquals(Superblock.MAGIC, sb.magic());
        assertEquals(want.get("data_block_size").asLong(), sb.dataBlockSizeSectors());
        assertEquals(want.get("nr_blocks").asLong(), sb.nrBlocks());
        assertEquals(want.get("current_era").asLong(), sb.currentEra());
        assertEquals(want.get("cw_nr_bits").asLong(), sb.currentWritesetNrBits());
        assertEquals(want.get("cw_root").asLong(), sb.currentWritesetRoot());
        assertEquals(want.get("writeset_tree_root").asLong(), sb.writesetTreeRoot());
        assertEquals(want.get("era_array_root").asLong(), sb.eraArrayRoot());
        assertEquals(want.get("metadata_snap").asLong(), sb.metadataSnap());
        assertEquals(want.get("sm").get("nr_blocks").asLong(), sb.spaceMapNrBlocks());
        assertEquals(want.get("sm").get("nr_allocated").asLong(), sb.spaceMapNrAllocated());
        assertEquals(want.get("sm").get("bitmap_root").asLong(), sb.spaceMapBitmapRoot());
        assertEquals(want.get("sm").get("ref_count_root").asLong(), sb.spaceMapRefCountRoot());
    }

    @ParameterizedTest
    @MethodSource("images")
    void sealingAKernelBlockAgainReproducesItsBytes(JsonNode image) {
        byte[] raw = Fixtures.imageBytes(image);
        ByteBuffer bytes = ByteBuffer.wrap(raw.clone()).order(ByteOrder.LITTLE_ENDIAN);
        BlockSeal seal = new BlockSeal();
        int sealed = 0;
        for (int offset = 0; offset < raw.length; offset += BlockDevice.BLOCK_BYTES) {
            BlockType type = seal.identify(bytes, offset);
            if (type != null) {
                bytes.putInt(offset, 0);
                seal.seal(type, bytes, offset, bytes.getLong(offset + type.blockNrOffset()));
                sealed++;
            }
        }
        assertTrue(sealed >= 6, "at least the bootstrap blocks carry a seal");
        assertEquals(ByteBuffer.wrap(raw), bytes);
    }
}
