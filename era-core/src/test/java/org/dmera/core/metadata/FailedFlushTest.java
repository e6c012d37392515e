// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Set;
import java.util.TreeSet;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.Superblock;
import org.dmera.core.repair.SpaceMapRepair;
import org.junit.jupiter.api.Test;

/**
 * A page cache takes what it could not write for clean, and gives it to whoever reads next. So the superblock whose flush failed is
 * what is opened afterwards, while the device still has the one before, which leads to blocks that are free by now.
 */
class FailedFlushTest {
    private static final int METADATA_BLOCKS = 40;

    @Test
    void anOriginThatGrowsAfterAFailedCommitWritesOverNothingThatAPowerCutBringsBack() throws Exception {
        for (int commits = 1; commits < METADATA_BLOCKS; commits++) {
            CachedDevice device = afterFailedCommit(commits);
            EraWorker worker = new EraWorker(EraMetadata.open(device, 8, METADATA_BLOCKS));
            device.cutAtSuperblockAfterOthers = true;
            assertThrows(IOException.class, () -> worker.beforeResume(9000));
            CheckReport report = MetadataChecker.check(new MemoryBlockDevice(device.disk));
            assertTrue(report.isClean(), commits + " commits: " + report);
        }
    }

    @Test
    void aRepairInPlaceWritesOverNothingThatAPowerCutBringsBack() throws Exception {
        for (int commits = 1; commits < METADATA_BLOCKS; commits++) {
            CachedDevice device = afterFailedCommit(commits);
            ByteBuffer block = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
            device.read(0, block);
            long index = new Superblock().wrap(block, 0).spaceMapBitmapRoot();
            device.write(index, ByteBuffer.allocate(BlockDevice.BLOCK_BYTES));

            CheckReport before = MetadataChecker.check(device);
            assertTrue(SpaceMapRepair.isNeeded(before), before::toString);
            device.cutAtSuperblockAfterOthers = true;
            assertThrows(IOException.class, () -> SpaceMapRepair.repair(device, before));
            CheckReport after = MetadataChecker.check(new MemoryBlockDevice(device.disk));
            assertFalse(after.isBeyondAutoRepair(), commits + " commits: " + after);
        }
    }

    /** The disk has what was committed before the last one, and the page cache that, too. */
    private static CachedDevice afterFailedCommit(int commits) throws IOException {
        CachedDevice device = new CachedDevice();
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(3000);
        metadata.rollover();
        metadata.commit();
        for (int i = 0; i < commits; i++) {
            metadata.mark(i);
            metadata.commit();
        }
        metadata.mark(2999);
        device.failFlushAfter(1);
        assertThrows(IOException.class, metadata::commit);
        return device;
    }

    /** A device beneath a page cache. */
    private static final class CachedDevice implements BlockDevice {
        private final byte[] cache = new byte[METADATA_BLOCKS * BLOCK_BYTES];
        private final byte[] disk = new byte[METADATA_BLOCKS * BLOCK_BYTES];
        private final Set<Long> dirty = new TreeSet<>();
        private int flushesToFailure = -1;
        /** The power is cut when the superblock is to be written after other blocks. */
        private boolean cutAtSuperblockAfterOthers;

        private boolean anyOther;

        void failFlushAfter(int flushes) {
            flushesToFailure = flushes;
        }

        @Override
        public long sizeBlocks() {
            return METADATA_BLOCKS;
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) {
            dst.put(cache, (int) firstBlock * BLOCK_BYTES, dst.remaining());
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            if (cutAtSuperblockAfterOthers && firstBlock == 0 && anyOther) {
                throw new IOException("the power is cut");
            }
            anyOther |= cutAtSuperblockAfterOthers && firstBlock != 0;
            int blocks = src.remaining() / BLOCK_BYTES;
            src.get(cache, (int) firstBlock * BLOCK_BYTES, blocks * BLOCK_BYTES);
            for (int i = 0; i < blocks; i++) {
                dirty.add(firstBlock + i);
            }
        }

        @Override
        public void flush() throws IOException {
            if (flushesToFailure-- == 0) {
                dirty.clear();
                throw new IOException("could not be written");
            }
            for (long block : dirty) {
                int at = (int) block * BLOCK_BYTES;
                System.arraycopy(cache, at, disk, at, BLOCK_BYTES);
            }
            dirty.clear();
        }

        @Override
        public void close() {}
    }
}
