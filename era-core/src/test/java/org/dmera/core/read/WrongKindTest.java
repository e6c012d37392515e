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
        ByteBuffer block = BlockSource.newBuffer(1);
        new BlockSeal().seal(found, block, 0, 2);
        device.write(2, block.clear());
        DamagedMetadataException damage = assertThrows(
                DamagedMetadataException.class,
                () -> new ArrayScanner(new ReadOnce(device)).scan(2, 1, 4, "era array", (first, values, at, n) -> {}));
        assertEquals(2, damage.blockNr());
        return damage.getMessage();
    }

    @Test
    void theKindFoundIsNamedWithItsArticle() throws IOException {
        assertEquals(
                "era array: block 2: expected a btree node, found an array block", messageFor(BlockType.ARRAY_BLOCK));
        assertEquals(
                "era array: block 2: expected a btree node, found a space map bitmap", messageFor(BlockType.BITMAP));
    }
}
