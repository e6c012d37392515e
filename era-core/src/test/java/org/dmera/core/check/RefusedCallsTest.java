// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.BlockSet;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.repair.SpaceMapRepair;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.FaultyBlockDevice;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Questions that can't be answered rightly are refused, not answered as if they could. */
class RefusedCallsTest {
    @Test
    void changesSinceAnEraThatIsYetToComeAreRefusedAndSinceTheNextOneThereAreNone() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(Fixtures.image("b_eras_bs8.live")));
        MetadataRoots roots = MetadataRoots.read(device);
        assertEquals(
                0, ChangedBlocks.since(device, roots, roots.currentEra() + 1).count());
        IOException refusal =
                assertThrows(IOException.class, () -> ChangedBlocks.since(device, roots, roots.currentEra() + 2));
        assertTrue(refusal.getMessage().contains("the current era is " + roots.currentEra()), refusal.getMessage());
        assertThrows(
                IOException.class,
                () -> ChangedBlocks.find(
                        device, roots, roots.currentEra() + 2, roots.currentEra() + 1, 4, Runnable::run));
        assertThrows(IllegalArgumentException.class, () -> ChangedBlocks.since(device, roots, -1));
        assertThrows(IllegalArgumentException.class, () -> ChangedBlocks.find(device, roots, 0, 1L << 33));
    }

    @ParameterizedTest
    @EnumSource(CheckOptions.Scope.class)
    void anInterruptedCheckGivesNoReport(CheckOptions.Scope scope, @TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve("meta"), Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live")));
        try (BlockDevice device = FileBlockDevice.open(file, false)) {
            Thread.currentThread().interrupt();
            assertThrows(InterruptedIOException.class, () -> MetadataChecker.check(device, CheckOptions.of(scope)));
        } finally {
            assertTrue(Thread.interrupted(), "the interrupt is still to be seen");
        }
    }

    @Test
    void anInterruptedSalvageIsNoDamage(@TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve("meta"), Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live")));
        try (BlockDevice device = FileBlockDevice.open(file, false)) {
            Thread.currentThread().interrupt();
            IOException interrupted = assertThrows(IOException.class, () -> Salvage.open(device, SalvageHints.NONE));
            assertTrue(interrupted instanceof java.nio.channels.ClosedChannelException, interrupted::toString);
        } finally {
            assertTrue(Thread.interrupted());
        }
    }

    @Test
    void aRepairInPlaceByAReportOnLessThanTheWholeDeviceWritesNothing() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        MemoryBlockDevice device = new MemoryBlockDevice(image.clone());
        for (CheckOptions.Scope scope :
                new CheckOptions.Scope[] {CheckOptions.Scope.SUPERBLOCK, CheckOptions.Scope.SNAPSHOT}) {
            CheckReport report = MetadataChecker.check(device, CheckOptions.of(scope));
            assertThrows(IllegalArgumentException.class, () -> SpaceMapRepair.repair(device, report));
        }
        assertArrayEquals(image, device.bytes());
    }

    @Test
    void aRepairInPlaceByTheReportOnAnotherDeviceWritesNothing() throws IOException {
        CheckReport other =
                MetadataChecker.check(new MemoryBlockDevice(Fixtures.imageBytes(Fixtures.image("b_eras_bs8.live"))));
        byte[] image = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        MemoryBlockDevice device = new MemoryBlockDevice(image.clone());
        assertThrows(IllegalArgumentException.class, () -> SpaceMapRepair.repair(device, other));
        assertArrayEquals(image, device.bytes());
    }

    @Test
    void aReadThatFailsMakesNoCountOfReferencesWrong() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        BlockUse truth = MetadataChecker.countReferences(new MemoryBlockDevice(image));
        FaultyBlockDevice device = new FaultyBlockDevice(new MemoryBlockDevice(image));
        int refusals = 0;
        for (int reads = 0; !device.isArmed(); reads++) {
            device.failAfter(reads, true, 0);
            try {
                BlockUse counted = MetadataChecker.countReferences(device);
                for (int block = 0; block < truth.size(); block++) {
                    assertEquals(truth.references(block), counted.references(block), reads + " reads, block " + block);
                }
            } catch (IOException e) {
                assertTrue(e.getMessage().contains(FaultyBlockDevice.INJECTED), e::getMessage);
                refusals++;
            }
        }
        assertTrue(refusals > 2, "only " + refusals + " refusals");
    }

    @Test
    void aSetTakesNoMemberPastItsEnd() {
        BlockSet set = new BlockSet(70);
        set.add(69);
        assertTrue(set.contains(69));
        assertFalse(set.contains(0));
        for (long none : new long[] {70, 127, 128, 1L << 38, -1}) {
            assertThrows(IndexOutOfBoundsException.class, () -> set.add(none), "block " + none);
            assertThrows(IndexOutOfBoundsException.class, () -> set.contains(none), "block " + none);
        }
        assertEquals(1, set.count());
        assertThrows(IllegalArgumentException.class, () -> new BlockSet(1L << 31));
        assertThrows(IllegalArgumentException.class, () -> new BlockSet(-1));
    }
}
