// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.DamagedMetadataException;
import org.junit.jupiter.api.Test;

/** What is said of a block of another kind than the one expected. */
class WrongKindTest {
    private static String messageFor(BlockType found) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(4);
        ByteBuffer block = BlockReader.newBuffer(1);
        new BlockSeal().seal(found, block, 0, 2);
        device.write(2, block.clear());
        BlockReader reader = new BlockReader(device);
        DamagedMetadataException damage = assertThrows(
                DamagedMetadataException.class,
                () -> reader.read(BlockType.BTREE_NODE, 2, 1, BlockReader.newBuffer(1), "era array"));
        assertEquals(2, damage.blockNr());
        return damage.getMessage();
    }

    @Test
    void theKindFoundIsNamedWithItsArticle() throws IOException {
        assertEquals("era array: btree node 2: bad checksum, it is an array block", messageFor(BlockType.ARRAY_BLOCK));
        assertEquals("era array: btree node 2: bad checksum, it is a space map bitmap", messageFor(BlockType.BITMAP));
    }
}
