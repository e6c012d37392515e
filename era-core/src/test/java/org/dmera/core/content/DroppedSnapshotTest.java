// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.check.CheckOptions;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.EraTruth;
import org.junit.jupiter.api.Test;

/**
 * The blocks of a metadata snapshot that is dropped are written over, by others of the same kind: who reads it meanwhile gets no
 * answer, whatever reads.
 */
class DroppedSnapshotTest {
    private static final int BLOCKS = 5000;

    private final MemoryBlockDevice device = new MemoryBlockDevice(128);
    private final EraMetadata metadata = held();

    /** What {@link #noDamage} reads. */
    private BlockDevice reading;

    private EraMetadata held() {
        try {
            EraMetadata fresh = EraMetadata.openOrFormat(device, 8);
            fresh.resize(BLOCKS);
            fresh.rollover();
            fresh.mark(3);
            fresh.takeSnapshot();
            fresh.commit();
            return fresh;
        } catch (IOException | RefusedException e) {
            throw new AssertionError(e);
        }
    }

    private void replace() throws Exception {
        metadata.dropSnapshot();
        metadata.commit();
        metadata.takeSnapshot();
        metadata.commit();
    }

    /** Reads what {@code roots} lead to. */
    private interface Reader {
        void read(MetadataRoots roots) throws IOException;
    }

    private void assertNoAnswer(Reader reader) throws Exception {
        MetadataRoots roots = MetadataRoots.readSnapshot(device);
        reader.read(roots);
        replace();
        IOException dropped = assertThrows(IOException.class, () -> reader.read(roots));
        assertTrue(dropped.getMessage().contains("was dropped"), dropped::getMessage);
        metadata.dropSnapshot();
        metadata.commit();
        dropped = assertThrows(IOException.class, () -> reader.read(roots));
        assertTrue(dropped.getMessage().contains("no current metadata snap"), dropped::getMessage);
        requireNoDamage(dropped);
    }

    private static void requireNoDamage(IOException e) {
        if (e instanceof DamagedMetadataException) {
            throw new AssertionError("metadata that is sound is called damaged", e);
        }
    }

    @Test
    void noChanges() throws Exception {
        assertNoAnswer(
                roots -> assertEquals(1, ChangedBlocks.since(device, roots, 1).count()));
    }

    @Test
    void noEras() throws Exception {
        assertNoAnswer(roots -> LastWritten.forEach(device, roots, (block, era) -> {}));
    }

    @Test
    void noRuns() throws Exception {
        assertNoAnswer(roots -> EraRuns.forEach(device, roots, (first, count, era) -> {}));
    }

    @Test
    void noDump() throws Exception {
        assertNoAnswer(roots -> MetadataScanner.scan(device, roots, new EraTruth()));
    }

    @Test
    void noLogicalDump() throws Exception {
        assertNoAnswer(roots -> LastWritten.stream(device, roots, new EraTruth()));
    }

    /** What is written over its blocks is no damage of theirs, at whichever read of the check it begins. */
    @Test
    void noFindings() throws Exception {
        CheckOptions options = CheckOptions.of(CheckOptions.Scope.SNAPSHOT);
        int dropped = 0;
        boolean isOver = false;
        for (int reads = 0; !isOver; reads++) {
            DroppedSnapshotTest each = new DroppedSnapshotTest();
            DroppedAfter changing = each.new DroppedAfter(reads, reads % 2 == 0);
            CheckReport report = MetadataChecker.check(changing, options);
            isOver = !changing.isDropped;
            boolean saysSo = report.toString().contains("was dropped while it was read")
                    || report.toString().contains("no current metadata snap");
            dropped += saysSo ? 1 : 0;
            assertEquals(saysSo ? 1 : 0, report.damages().size(), () -> changing.reads + ": " + report);
        }
        assertTrue(dropped > 4, "only " + dropped);
    }

    /** Nor is it for whoever reads it, at whichever read that begins. */
    @Test
    void noDamage() throws Exception {
        List<Reader> readers = List.of(
                roots -> ChangedBlocks.since(reading, roots, 1),
                roots -> LastWritten.forEach(reading, roots, (block, era) -> {}),
                roots -> MetadataScanner.scan(reading, roots, new EraTruth()));
        int failed = 0;
        for (int i = 0; i < readers.size() * 40; i++) {
            DroppedSnapshotTest each = new DroppedSnapshotTest();
            reading = each.new DroppedAfter(i / readers.size(), i % 2 == 0);
            try {
                readers.get(i % readers.size()).read(MetadataRoots.readSnapshot(reading));
            } catch (IOException e) {
                requireNoDamage(e);
                failed++;
            }
        }
        assertTrue(failed > 12, "only " + failed);
    }

    /** Its snapshot is dropped at the read after {@code reads} others, and what it held is written over. */
    private final class DroppedAfter implements BlockDevice {
        private final int reads;
        private final boolean isTakenAgain;
        private int done;
        private boolean isDropped;

        DroppedAfter(int reads, boolean isTakenAgain) {
            this.reads = reads;
            this.isTakenAgain = isTakenAgain;
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            if (done++ == reads) {
                isDropped = true;
                drop();
            }
            device.read(firstBlock, dst);
        }

        private void drop() throws IOException {
            try {
                metadata.dropSnapshot();
                metadata.commit();
                for (int i = 0; i < 60; i++) {
                    metadata.mark(i);
                    metadata.commit();
                }
                if (isTakenAgain) {
                    metadata.takeSnapshot();
                    metadata.commit();
                }
            } catch (RefusedException e) {
                throw new AssertionError(e);
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
        public void flush() {
            device.flush();
        }

        @Override
        public void close() {
            device.close();
        }
    }

    @Test
    void whatIsHeldOnIsReadHoweverTheDeviceGoesOn() throws Exception {
        MetadataRoots roots = MetadataRoots.readSnapshot(device);
        for (int i = 0; i < 30; i++) {
            metadata.rollover();
            metadata.mark(i);
            metadata.commit();
        }
        assertEquals(1, ChangedBlocks.since(device, roots, 1).count());
    }
}
