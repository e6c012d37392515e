// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.repair;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.Anatomy.Role;
import org.dmera.testkit.DamageGenerator;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.RecordingBlockDevice;
import org.junit.jupiter.api.Test;

class AutoRepairSurvivesPowerCutsTest {
    private static final List<Role> SPACE_MAP = List.of(Role.INDEX, Role.BITMAP, Role.REF_COUNT_TREE);

    @Test
    void aPowerCutLeavesTheOldStateOrTheNewOne() throws IOException {
        byte[] sound = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        int[] truth =
                DamageIsFoundAndRepairedTest.salvaged(sound, SalvageHints.NONE).latest();
        Random random = new Random(3);
        int repairs = 0;
        for (DamageGenerator.Case damaged : DamageGenerator.cases(sound, null, 5)) {
            if (!SPACE_MAP.contains(damaged.role())) {
                continue;
            }
            MemoryBlockDevice memory = new MemoryBlockDevice(damaged.image());
            CheckReport before = MetadataChecker.check(memory);
            if (before.isBeyondAutoRepair() || !SpaceMapRepair.isNeeded(before)) {
                continue;
            }
            RecordingBlockDevice device = new RecordingBlockDevice(memory);
            SpaceMapRepair.repair(device, before);
            repairs++;
            assertEquals(3, device.flushCount());
            RecordingBlockDevice.PowerCuts cuts = device.new PowerCuts();
            RecordingBlockDevice.PowerCuts.Survivor survivor = left -> {
                CheckReport after = MetadataChecker.check(left);
                assertTrue(
                        after.isClean() || after.damages().equals(before.damages()),
                        () -> damaged + ", cut after " + cuts.position() + ": " + after);
                assertArrayEquals(
                        truth,
                        DamageIsFoundAndRepairedTest.salvaged(left.bytes(), SalvageHints.NONE)
                                .latest());
            };
            do {
                cuts.cutWithoutUnflushed(survivor);
                cuts.cutWithAllUnflushed(survivor);
                cuts.cutAtRandom(random, survivor);
            } while (cuts.advance());
            assertTrue(MetadataChecker.check(memory).isClean(), damaged::toString);
        }
        assertTrue(repairs > 10, "only " + repairs + " repairs were cut");
    }

    @Test
    void nothingIsWrittenWhileATreeIsDamaged() throws IOException {
        byte[] sound = Fixtures.imageBytes(Fixtures.image("e_crash_bs24.crash"));
        for (DamageGenerator.Case damaged : DamageGenerator.cases(sound, null, 5)) {
            if (damaged.role() != Role.ERA_BLOCK && damaged.role() != Role.CURRENT_NODE) {
                continue;
            }
            RecordingBlockDevice device = new RecordingBlockDevice(new MemoryBlockDevice(damaged.image()));
            CheckReport report = MetadataChecker.check(device);
            assertFalse(report.isClean());
            IOException refusal =
                    assertThrows(IOException.class, () -> SpaceMapRepair.repair(device, report), damaged::toString);
            assertTrue(refusal.getMessage().contains("era_repair"), refusal::getMessage);
            assertEquals(0, device.eventCount());
        }
    }

    @Test
    void aDeviceWithoutRoomForASecondSpaceMapIsLeftAsItIs() throws IOException {
        // As many blocks as are in use, and one: the space map needs three.
        MemoryBlockDevice full = new MemoryBlockDevice(7);
        MetadataBuilder builder = new MetadataBuilder(full);
        builder.superblock(8, 0, 3);
        builder.beginEraArray();
        builder.endEraArray();
        builder.end();
        assertTrue(MetadataChecker.check(full).isClean());
        full.bytes()[5 * 4096] ^= 1;
        RecordingBlockDevice device = new RecordingBlockDevice(full);
        CheckReport report = MetadataChecker.check(device);
        assertTrue(SpaceMapRepair.isNeeded(report), report::toString);
        IOException refusal = assertThrows(IOException.class, () -> SpaceMapRepair.repair(device, report));
        assertTrue(refusal.getMessage().contains("no room"), refusal::getMessage);
        assertEquals(0, device.eventCount());
    }
}
