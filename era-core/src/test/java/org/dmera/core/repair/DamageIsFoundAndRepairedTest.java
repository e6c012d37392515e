// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.repair;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.Anatomy;
import org.dmera.testkit.DamageGenerator;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.dmera.testkit.GeneratedMetadata;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Each structure × each kind of damage, on metadata that the kernel made, and on metadata that was generated. */
class DamageIsFoundAndRepairedTest {
    /** Image, and an earlier state of the same device for stale blocks. */
    private static final String[][] SUBJECTS = {
        {"b_eras_bs8.live", "b_eras_bs8.clean"},
        {"c_snap_bs24.live", "c_snap_bs24.live_just_taken"},
        {"e_crash_bs24.crash", "e_crash_bs24.crash_mid"},
        {"f_undigested.crash", "f_undigested.clean"},
        {"f_many_writesets.crash", "f_many_writesets.clean"},
        {"g_resize.shrunk_settled_live", "g_resize.grown_live"},
        {"h_large.snap_live", "h_large.live"},
        {"a_fresh_bs128.live", "a_fresh_bs128.formatted"},
    };

    @TestFactory
    Stream<DynamicTest> everyDamageIsFoundAndNoRepairLosesAMark() {
        List<DynamicTest> tests = new ArrayList<>();
        for (String[] subject : SUBJECTS) {
            byte[] sound = Fixtures.imageBytes(Fixtures.image(subject[0]));
            byte[] older = Fixtures.imageBytes(Fixtures.image(subject[1]));
            EraTruth truth = salvaged(sound, SalvageHints.NONE);
            int n = 0;
            // A large origin costs a second a case and adds little: the ordinary run takes a few of those.
            int step = truth.latest().length > 100_000 && !Boolean.getBoolean("era.nightly") ? 25 : 1;
            for (DamageGenerator.Case damaged : DamageGenerator.cases(sound, older, 7)) {
                if (n++ % step != 0) {
                    continue;
                }
                tests.add(
                        DynamicTest.dynamicTest(subject[0] + ": " + damaged, () -> isFoundAndRepaired(damaged, truth)));
            }
        }
        return tests.stream();
    }

    @TestFactory
    Stream<DynamicTest> theSameGoesForDeepTrees() throws IOException {
        return generated(GeneratedMetadata.deep(), 1);
    }

    @TestFactory
    Stream<DynamicTest> theSameGoesForMetadataOfSeveralBitmaps() throws IOException {
        // Each case copies a large device several times.
        return generated(GeneratedMetadata.acrossBitmaps(), Boolean.getBoolean("era.nightly") ? 1 : 4);
    }

    private static Stream<DynamicTest> generated(byte[] sound, int step) throws IOException {
        CheckReport healthy = check(sound);
        assertTrue(healthy.isClean(), healthy::toString);
        EraTruth truth = salvaged(sound, SalvageHints.NONE);
        List<DynamicTest> tests = new ArrayList<>();
        List<DamageGenerator.Case> cases = DamageGenerator.cases(sound, null, 7);
        for (int i = 0; i < cases.size(); i += step) {
            DamageGenerator.Case damaged = cases.get(i);
            tests.add(DynamicTest.dynamicTest(damaged.toString(), () -> isFoundAndRepaired(damaged, truth)));
        }
        return tests.stream();
    }

    @Test
    void aReferenceToTheRefCountTreeThatLeadsElsewhereCostsNothing() throws IOException {
        byte[] sound = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        EraTruth truth = salvaged(sound, SalvageHints.NONE);
        Set<Anatomy.Role> roles = EnumSet.of(Anatomy.Role.REF_COUNT_TREE);
        for (Anatomy.Part part : new Anatomy(sound).parts()) {
            if (!roles.add(part.role())) {
                continue;
            }
            byte[] image = sound.clone();
            ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
            bytes.putLong(Superblock.SM_REF_COUNT_ROOT, part.blockNr());
            new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
            EraTruth now = salvaged(image, SalvageHints.NONE);
            assertArrayEquals(truth.latest(), now.latest(), part::toString);
            CheckReport report = check(image);
            assertTrue(SpaceMapRepair.isNeeded(report) && !report.isBeyondAutoRepair(), report::toString);
            SpaceMapRepair.repair(new MemoryBlockDevice(image), report);
            assertTrue(check(image).isClean(), part::toString);
        }
    }

    private static void isFoundAndRepaired(DamageGenerator.Case damaged, EraTruth truth) throws IOException {
        byte[] bytes = damaged.image();
        CheckReport report = check(bytes);
        if (damaged.kind().startsWith("stale") && report.isClean()) {
            // A lost write of a data block leaves what was right once: no rule of the format is broken.
            return;
        }
        assertFalse(report.isClean(), () -> "not found: " + damaged);
        if (!report.isBeyondAutoRepair() && !report.areTreesIncomplete() && SpaceMapRepair.isNeeded(report)) {
            byte[] image = bytes.clone();
            SpaceMapRepair.repair(new MemoryBlockDevice(image), report);
            CheckReport after = check(image);
            assertEquals(0, after.count(Severity.FATAL), after::toString);
            assertFalse(SpaceMapRepair.isNeeded(after), after::toString);
            if (after.isClean()) {
                assertArrayEquals(
                        truth.latest(), salvaged(image, SalvageHints.NONE).latest(), damaged::toString);
            }
        }
        rebuildLosesNothing(damaged, bytes, truth);
    }

    private static void rebuildLosesNothing(DamageGenerator.Case damaged, byte[] bytes, EraTruth truth)
            throws IOException {
        SalvageHints hints = new SalvageHints(
                truth.dataBlockSizeSectors(), -1, damaged.kind().startsWith("current era") ? -1 : truth.currentEra());
        MemoryBlockDevice rebuilt = new MemoryBlockDevice(bytes.length / 4096 * 2 + 64);
        Salvage salvage = Salvage.open(new MemoryBlockDevice(bytes), hints);
        salvage.stream(new MetadataBuilder(rebuilt));
        CheckReport after = check(rebuilt.bytes());
        assertTrue(after.isClean(), after::toString);
        EraTruth now = salvaged(rebuilt.bytes(), SalvageHints.NONE);
        assertTrue(truth.latest().length <= now.latest().length, () -> salvage.remarks() + "");
        assertEquals(0, truth.lostIn(now), () -> damaged + ": marks lost; " + salvage.damages() + salvage.remarks());
        long widened = truth.widenedIn(now);
        assertTrue(
                widened <= damaged.originBlocks() || mayBeOlder(damaged) || isSuperblockDoubted(salvage),
                () -> damaged + ": " + widened + " widened, at most " + damaged.originBlocks() + " hang on the damage; "
                        + salvage.damages() + salvage.remarks());
    }

    /** Which version of a part is the right one can't be told: then all count, and those of their neighbours. */
    private static boolean mayBeOlder(DamageGenerator.Case damaged) {
        String kind = damaged.kind();
        return kind.startsWith("stale")
                || kind.contains("older version")
                || kind.contains("root is")
                || kind.startsWith("nr_blocks")
                || damaged.role() == Anatomy.Role.ERA_NODE && !damaged.isInterior();
    }

    /** Other states on the device count too, and those say what they say of any block. */
    private static boolean isSuperblockDoubted(Salvage salvage) {
        return salvage.remarks().stream().anyMatch(remark -> remark.startsWith("the superblock may be older"));
    }

    static CheckReport check(byte[] image) throws IOException {
        return MetadataChecker.check(new MemoryBlockDevice(image));
    }

    static EraTruth salvaged(byte[] image, SalvageHints hints) {
        try {
            EraTruth truth = new EraTruth();
            Salvage.open(new MemoryBlockDevice(image), hints).stream(truth);
            return truth;
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
