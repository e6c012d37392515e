// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/** Figures of metadata that a running target writes meanwhile. */
class MetadataFactsTest {
    /** A device whose superblock is being written whenever it is read, until the second time. */
    private static final class Rewritten implements BlockDevice {
        private final BlockDevice device;
        private int reads;

        Rewritten(BlockDevice device) {
            this.device = device;
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            int at = dst.position();
            device.read(firstBlock, dst);
            if (firstBlock == 0 && reads++ == 0) {
                // The head is there, the rest has not come yet.
                for (int i = at + 40; i < at + 512; i++) {
                    dst.put(i, (byte) 0x5a);
                }
            }
        }

        @Override
        public long sizeBlocks() {
            return device.sizeBlocks();
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            device.write(firstBlock, src);
        }

        @Override
        public void flush() throws IOException {
            device.flush();
        }

        @Override
        public void close() throws IOException {
            device.close();
        }
    }

    @Test
    void aSuperblockThatIsBeingWrittenIsReadAgain() throws IOException {
        BlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(Fixtures.image("c_snap_bs8.live")));
        MetadataRoots snapshot = MetadataRoots.readSnapshot(device);
        MetadataFacts facts = MetadataFacts.read(device, snapshot);
        MetadataFacts meanwhile = MetadataFacts.read(new Rewritten(device), snapshot);
        assertEquals(facts.metadataBlocks(), meanwhile.metadataBlocks());
        assertEquals(facts.metadataUsedBlocks(), meanwhile.metadataUsedBlocks());
    }
}
