// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.content.ChangedBlocks;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Eras;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.read.MetadataRoots;
import org.dmera.core.salvage.Salvage;
import org.dmera.core.salvage.SalvageHints;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.RepairDamage;
import org.dmera.testkit.RepairDamage.Kind;
import org.dmera.testkit.RepairSubject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the check finds clean every reader reads; and what a reader refuses the check has found in the same block. */
class ReadersAgreeTest {
    private static final int SUBJECTS = Boolean.getBoolean("era.nightly") ? 500 : 12;

    @ParameterizedTest
    @EnumSource(
            value = Kind.class,
            names = {
                "ONE_BROKEN_BLOCK",
                "TWO_SWAPPED_BLOCKS",
                "STALE_BLOCK",
                "STALE_POINTER",
                "WRONG_NODE",
                "WRONG_ARRAY_BLOCK",
                "WRONG_SUPERBLOCK",
                "CUT_OFF",
                "LOST_SUPERBLOCK"
            })
    void readersRefuseWhatTheCheckFindsAndNothingElse(Kind kind) throws IOException {
        int refused = 0;
        for (long seed = 1; seed <= SUBJECTS; seed++) {
            RepairSubject subject = RepairSubject.ofSessions(seed, false);
            for (int d = 0; subject != null && d < 8; d++) {
                RepairDamage damage = RepairDamage.of(subject, kind, new Random(seed * 8 + d));
                if (damage != null) {
                    refused += readersAgree(damage.applied(), kind + " seed " + seed + " damage " + d + " " + damage)
                            ? 0
                            : 1;
                }
            }
        }
        assertTrue(refused > 0, "nothing was refused");
    }

    /** An entry that leads where it led before leads to what the space map counts as free, and what lacks marks. */
    @Test
    void noReaderFollowsAnEntryThatLeadsToAnOlderVersion() throws IOException {
        int refused = 0;
        for (long seed = 1; seed <= 3 * SUBJECTS; seed++) {
            RepairSubject subject = RepairSubject.ofSessions(seed, false);
            for (int d = 0; subject != null && d < 4; d++) {
                RepairDamage damage = RepairDamage.of(subject, Kind.STALE_POINTER, new Random(seed * 8 + d));
                if (damage == null) {
                    continue;
                }
                MemoryBlockDevice device = damage.applied();
                String which = "seed " + seed + " damage " + d + " " + damage;
                MetadataRoots roots = MetadataRoots.read(device);
                try {
                    long changed = ChangedBlocks.since(device, roots, 1).count();
                    long written = Arrays.stream(subject.truth().latest())
                            .filter(era -> era != 0)
                            .count();
                    assertTrue(changed >= written, which + ": " + changed + " of " + written + " blocks");
                    EraTruth read = new EraTruth();
                    MetadataScanner.scan(device, roots, read);
                    assertEquals(0, subject.truth().lostIn(read), which);
                } catch (DamagedMetadataException e) {
                    refused++;
                }
            }
        }
        assertTrue(refused > 0, "nothing was refused");
    }

    /** An era that only the live array can have by now. */
    @Test
    void anEraThatIsTooLateForTheHeldSnapshotIsFound() throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(256);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(100);
        metadata.rollover();
        metadata.takeSnapshot();
        for (int i = 0; i < 9; i++) {
            metadata.rollover();
        }
        metadata.commit();
        MetadataRoots held = MetadataRoots.readSnapshot(device);
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        long eras = new BTreeNode()
                .wrap(bytes, (int) held.eraArrayRoot() * BlockDevice.BLOCK_BYTES)
                .valueLong(0);
        int at = (int) eras * BlockDevice.BLOCK_BYTES;
        for (long era = held.currentEra(); era <= held.currentEra() + 1; era++) {
            new ArrayBlock().wrap(bytes, at).valueInt(50, (int) era);
            new BlockSeal().seal(BlockType.ARRAY_BLOCK, bytes, at, eras);
            boolean isLate = era > held.currentEra();
            CheckReport report = MetadataChecker.check(device, CheckOptions.of(CheckOptions.Scope.SNAPSHOT));
            assertEquals(isLate ? 1 : 0, report.count(DamageKind.ERA_ABOVE_CURRENT), report::toString);
            report = MetadataChecker.check(device);
            assertEquals(!isLate, report.isClean(), report::toString);
            if (isLate) {
                assertThrows(DamagedMetadataException.class, () -> ChangedBlocks.since(device, held, 1));
            } else {
                assertEquals(1, ChangedBlocks.since(device, held, 1).count());
            }
        }
    }

    /** Whoever reads the snapshot begins with the live superblock. */
    @Test
    void aFieldOfTheSuperblockThatCantBeIsFoundByWhoChecksTheHeldSnapshotAlone() throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(256);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(100);
        metadata.rollover();
        metadata.takeSnapshot();
        metadata.commit();
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        new Superblock().wrap(bytes, 0).dataBlockSizeSectors(36);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        assertThrows(DamagedMetadataException.class, () -> MetadataRoots.readSnapshot(device));
        CheckReport report = MetadataChecker.check(device, CheckOptions.of(CheckOptions.Scope.SNAPSHOT));
        assertEquals(1, report.count(DamageKind.BAD_FIELD), report::toString);
    }

    /** Written before the era went round, and after: who asks for what was written since would miss the latter. */
    @Test
    void noEraIsBeforeTheOneThatFollowsTheHighest() throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(256);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(100);
        metadata.rollover();
        metadata.mark(3);
        metadata.archive();
        metadata.commit();
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        new Superblock().wrap(bytes, 0).currentEra(Eras.HIGHEST);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        metadata = EraMetadata.openOrFormat(device, 8);
        metadata.rollover();
        metadata.mark(3);
        metadata.commit();
        MetadataRoots roots = MetadataRoots.read(device);
        assertEquals(0, roots.currentEra());
        assertEquals(1, MetadataChecker.check(device).count(DamageKind.ERA_ABOVE_CURRENT));
        assertThrows(DamagedMetadataException.class, () -> ChangedBlocks.since(device, roots, 1));
        assertFalse(readersAgree(device, "after the highest era"));
        MemoryBlockDevice rebuilt = new MemoryBlockDevice(256);
        Salvage.open(device, SalvageHints.NONE).stream(new MetadataBuilder(rebuilt));
        assertTrue(MetadataChecker.check(rebuilt).isClean());
        MetadataRoots now = MetadataRoots.read(rebuilt);
        assertTrue(ChangedBlocks.since(rebuilt, now, now.currentEra()).contains(3));
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatWaitsForDigestionWhenTheEraGoesRoundKeepsNobodyFromRepairing(boolean isSnapshotHeld) throws Exception {
        MemoryBlockDevice device = new MemoryBlockDevice(256);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(100);
        metadata.commit();
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        new Superblock().wrap(bytes, 0).currentEra(Eras.HIGHEST - 2);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        metadata = EraMetadata.openOrFormat(device, 8);
        if (isSnapshotHeld) {
            metadata.takeSnapshot();
        } else {
            metadata.rollover();
        }
        metadata.rollover();
        metadata.mark(5);
        metadata.rollover();
        metadata.mark(3);
        metadata.commit();
        assertEquals(0, MetadataRoots.read(device).currentEra());
        assertFalse(readersAgree(device, "a writeset of the highest era"));
        MemoryBlockDevice rebuilt = new MemoryBlockDevice(256);
        Salvage.open(device, SalvageHints.NONE).stream(new MetadataBuilder(rebuilt));
        assertTrue(MetadataChecker.check(rebuilt).isClean());
        MetadataRoots now = MetadataRoots.read(rebuilt);
        for (int block : new int[] {3, 5}) {
            assertTrue(ChangedBlocks.since(rebuilt, now, now.currentEra()).contains(block));
        }
    }

    /** Whether the readers read it. */
    private static boolean readersAgree(MemoryBlockDevice device, String which) throws IOException {
        CheckReport report = MetadataChecker.check(device);
        try {
            MetadataScanner.scan(device, MetadataRoots.read(device), new EraTruth());
        } catch (DamagedMetadataException e) {
            assertTrue(
                    report.damages().stream().anyMatch(found -> isTheSame(found, e)),
                    () -> which + ": " + e.kind() + " " + e.getMessage() + "; the check: " + report.damages());
            return false;
        }
        if (report.isClean()) {
            // The transactional engine is a reader too.
            EraMetadata.openOrFormat(device, MetadataRoots.read(device).dataBlockSizeSectors());
        }
        return true;
    }

    /** The same rule; or another one that the same block breaks, for the check sees who else uses it. */
    private static boolean isTheSame(Damage found, DamagedMetadataException refusal) {
        if (found.kind() == refusal.kind()) {
            return found.blockNr() < 0 || refusal.blockNr() < 0 || found.blockNr() == refusal.blockNr();
        }
        return found.severity() == Severity.FATAL && found.blockNr() == refusal.blockNr();
    }
}
