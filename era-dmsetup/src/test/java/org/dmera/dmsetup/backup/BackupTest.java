// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dmera.core.file.Sha256;
import org.dmera.tools.backup.apply.Applier;
import org.dmera.tools.backup.copy.CopyEngine;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.copy.OriginSource;
import org.dmera.tools.backup.stream.StreamReader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A chain of backups follows the origin whatever happens to the backups, and nothing stays held. */
class BackupTest {
    @TempDir
    Path dir;

    private final Random random = new Random(11);
    private final List<String> said = new ArrayList<>();
    private FileEraDevice device;
    private Path target;

    @BeforeEach
    void makeDevice() throws IOException {
        device = new FileEraDevice(dir, 4_000_256);
        target = dir.resolve("target");
        scribble(50);
    }

    @AfterEach
    void nothingIsHeld() throws IOException {
        device.close();
    }

    private void scribble(int writes) {
        for (int i = 0; i < writes; i++) {
            byte[] bytes = new byte[1 + random.nextInt(20_000)];
            random.nextBytes(bytes);
            device.write(random.nextInt((int) device.sizeBytes() - bytes.length), bytes);
        }
    }

    private Backup backup(OriginHook hook, long bytesPerSecond) throws IOException {
        return backup(hook, bytesPerSecond, false);
    }

    private Backup backup(OriginHook hook, long bytesPerSecond, boolean full) throws IOException {
        return new Backup(device, hook, options(dir.resolve("state"), full, bytesPerSecond), said::add);
    }

    private Backup.Options options(Path state, boolean full, long bytesPerSecond) {
        return new Backup.Options(
                dir.resolve("streams"), state, full, 0, 100, null, new CopyEngine.Options(2, 1, bytesPerSecond), true);
    }

    private Path run() throws IOException {
        try (Backup backup = backup(null, 0)) {
            return backup.run();
        } finally {
            assertEquals(-1, device.snapshotBlock(), "no metadata snapshot stays held");
        }
    }

    private void applyAll() throws IOException {
        List<StreamReader> streams = new ArrayList<>();
        try (Applier applier = new Applier(target, null);
                Stream<Path> files = Files.list(dir.resolve("streams"))) {
            for (Path file : files.sorted().toList()) {
                if (file.toString().endsWith(".erastream")) {
                    streams.add(StreamReader.open(file.toString(), null));
                }
            }
            applier.apply(streams, false, bytes -> {});
        }
        for (StreamReader stream : streams) {
            stream.close();
        }
    }

    private void assertTargetEqualsOrigin() throws IOException {
        applyAll();
        assertEquals(-1L, Files.mismatch(device.origin, target));
    }

    @Test
    void aFullBackupAndItsIncrementsFollowTheOrigin() throws IOException {
        for (int i = 0; i < 8; i++) {
            Path stream = run();
            assertEquals(i == 0, stream.toString().endsWith(".full.erastream"), stream.toString());
            assertTargetEqualsOrigin();
            scribble(5);
        }
    }

    @Test
    void whatIsWrittenWhileTheBackupRunsIsInTheNextOne() throws IOException {
        run();
        for (int i = 0; i < 5; i++) {
            scribble(3);
            device.afterCheckpoint = () -> scribble(3);
            device.afterSnapshot = () -> scribble(3);
            run();
        }
        device.afterCheckpoint = () -> {};
        device.afterSnapshot = () -> {};
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void aWriteThatArrivesLateIsCopiedByTheNextBackupWhenTheDeviceNeverRests() throws IOException {
        run();
        device.writesArrive = false;
        byte[] bytes = new byte[3000];
        random.nextBytes(bytes);
        // Marked in the old era, and its data come when the block has been read.
        device.write(77_000, new byte[3000]);
        device.write(77_000, new byte[1]);
        run();
        device.writeBehind(77_000, bytes);
        assertTrue(said.stream().anyMatch(s -> s.contains("never seen without a write in flight")), said.toString());
        device.writesArrive = true;
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void aKilledBackupsSnapshotIsDroppedByTheNextOne() throws IOException {
        run();
        scribble(5);
        device.afterSnapshot = () -> {
            throw new IllegalStateException("killed here");
        };
        // Not closed: a killed process closes nothing.
        Backup killed = backup(null, 0);
        assertThrows(IllegalStateException.class, killed::run);
        assertTrue(device.snapshotBlock() > 0);
        device.afterSnapshot = () -> {};
        run();
        assertTrue(said.stream().anyMatch(s -> s.contains("dropped the metadata snapshot")), said.toString());
        assertTargetEqualsOrigin();
    }

    /** Nobody could tell it from somebody else's by then, so each further run would have been refused for it. */
    @Test
    void aSnapshotThatCantBeReadWhereTheMetadataIsSaidToBeIsDropped() throws IOException {
        for (String other : List.of("none", "origin")) {
            device.metadataAsTold = dir.resolve(other);
            assertThrows(IOException.class, this::run);
        }
        device.metadataAsTold = device.metadata;
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void aFailedBackupDropsItsSnapshotItself() throws IOException {
        run();
        device.afterSnapshot = () -> {
            throw new IllegalStateException("fails here");
        };
        assertThrows(IllegalStateException.class, this::run);
        device.afterSnapshot = () -> {};
        scribble(5);
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void aLostStateFileCostsAFullCopyAndNoEarlierStream() throws IOException {
        List<Path> streams = new ArrayList<>(List.of(run(), run()));
        Files.delete(dir.resolve("state"));
        scribble(5);
        streams.add(run());
        assertTrue(said.get(2).contains("full, because there is no backup yet"), said.get(2));
        scribble(5);
        streams.add(run());
        assertEquals(4, new java.util.TreeSet<>(streams).size(), streams.toString());
        assertEquals(new ArrayList<>(new java.util.TreeSet<>(streams)), streams, "their names say their order");
        for (Path stream : streams) {
            assertTrue(Files.exists(stream), stream.toString());
        }
        assertTargetEqualsOrigin();
    }

    @Test
    void aStateFileThatIsCutAnywhereIsRefused() throws IOException {
        run();
        byte[] whole = Files.readAllBytes(dir.resolve("state"));
        for (int cut = 0; cut < whole.length - 1; cut++) {
            Files.write(dir.resolve("state"), java.util.Arrays.copyOf(whole, cut));
            IOException e = assertThrows(IOException.class, this::run, "cut to " + cut + " bytes");
            assertTrue(e.getMessage().contains("remove it to begin with a full copy"), e.getMessage());
        }
    }

    @Test
    void somebodyElsesSnapshotIsLeftAlone() throws IOException {
        device.takeSnapshot();
        long block = device.snapshotBlock();
        try (Backup backup = backup(null, 0)) {
            Backup.BusyException refusal = assertThrows(Backup.BusyException.class, backup::run);
            assertTrue(refusal.getMessage().contains("held at block " + block), refusal.getMessage());
        }
        assertEquals(block, device.snapshotBlock());
        device.dropSnapshot();
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void metadataThatWasMadeAnewGivesAFullBackupEvenWhenTheErasHaveCaughtUp() throws IOException {
        run();
        long era = device.currentEra();
        device.makeMetadataAnew();
        device.writeBehind(300_000, new byte[100_000]);
        while (device.currentEra() <= era + 3) {
            device.checkpoint();
        }
        scribble(2);
        Path stream = run();
        assertTrue(stream.toString().endsWith(".full.erastream"), stream.toString());
        assertTrue(said.get(said.size() - 1).contains("made anew"), said.toString());
        assertTargetEqualsOrigin();
    }

    /** The era of what the target holds lies between those of the increment, and the device is the same. */
    @Test
    void afterMetadataWereMadeAnewAnIncrementIsNotAppliedWithoutTheFullCopyBeforeIt() throws IOException {
        run();
        while (device.currentEra() < 20) {
            device.checkpoint();
        }
        run();
        applyAll();
        byte[] before = Files.readAllBytes(target);
        device.makeMetadataAnew();
        scribble(20);
        Path full = run();
        assertTrue(full.toString().endsWith(".full.erastream"), full.toString());
        scribble(5);
        while (device.currentEra() < 40) {
            device.checkpoint();
        }
        assertTrue(run().toString().endsWith(".incr.erastream"));
        Path away = Files.move(full, dir.resolve("away"));
        IOException e = assertThrows(IOException.class, this::applyAll);
        assertTrue(e.getMessage().contains("goes back to another full copy"), e.getMessage());
        assertEquals(-1, java.util.Arrays.mismatch(before, Files.readAllBytes(target)), "nothing is written");
        assertFalse(new StoredBackups(dir.resolve("streams"), "dev").verify(said::add), said.toString());
        Files.move(away, full);
        assertTargetEqualsOrigin();
        assertTrue(new StoredBackups(dir.resolve("streams"), "dev").verify(said::add), said.toString());
    }

    @Test
    void anIncrementGoesOnFromAFullCopyThatTheStateDoesNotKnowOfYet() throws IOException {
        run();
        byte[] state = Files.readAllBytes(dir.resolve("state"));
        byte[] history = Files.readAllBytes(history());
        scribble(3);
        try (Backup backup = backup(null, 0, true)) {
            backup.run();
        }
        Files.delete(history());
        // Killed when the stream had its name, before the state was written.
        Files.write(dir.resolve("state"), state);
        Files.write(dir.resolve("state.000002.eras"), history);
        scribble(3);
        assertTrue(run().toString().endsWith(".000003.incr.erastream"));
        assertTargetEqualsOrigin();
    }

    /** The streams are elsewhere, and stay; increments since the state's era would leave in place what only they hold. */
    @Test
    void aHostThatWentBackTogetherWithItsStateMakesAFullBackup() throws IOException {
        run();
        scribble(3);
        run();
        Path saved = Files.createDirectory(dir.resolve("saved"));
        Path eras = history();
        for (Path file : List.of(device.metadata, device.origin, dir.resolve("state"), eras)) {
            Files.copy(file, saved.resolve(file.getFileName()));
        }
        for (int i = 0; i < 3; i++) {
            scribble(5);
            run();
        }
        Files.delete(history());
        device.goBackTo(saved.resolve("metadata"), saved.resolve("origin"));
        Files.copy(saved.resolve("state"), dir.resolve("state"), StandardCopyOption.REPLACE_EXISTING);
        Files.copy(saved.resolve(eras.getFileName()), eras);
        for (int i = 0; i < 20; i++) {
            device.checkpoint();
        }
        scribble(1);
        run();
        assertTargetEqualsOrigin();
        assertTrue(said.get(said.size() - 1).contains("not of what the metadata knows"), said.toString());
        scribble(3);
        assertTrue(run().toString().endsWith(".incr.erastream"), "and goes on from there");
        assertTargetEqualsOrigin();
    }

    /** "Try again later" would be said each night, and whoever took it may not even be there any more. */
    @Test
    void aSnapshotThatCameBackWithTheHostIsAFailureAndNoReasonToWait() throws IOException {
        run();
        device.takeSnapshot();
        Path saved = Files.createDirectory(dir.resolve("saved"));
        Files.copy(device.metadata, saved.resolve("metadata"));
        Files.copy(device.origin, saved.resolve("origin"));
        device.dropSnapshot();
        device.checkpoint();
        run();
        device.goBackTo(saved.resolve("metadata"), saved.resolve("origin"));
        assertHeldUntilSomebodyDropsIt();
    }

    /** The other's newest stream hides that this one's is gone, which the next increment would need. */
    @Test
    void anotherDeviceOfTheSameNameInTheFolderHidesNoMissingStream() throws IOException {
        FileEraDevice other = new FileEraDevice(Files.createDirectory(dir.resolve("other")), 1_000_000);
        run();
        scribble(3);
        Path ours = run();
        try (other;
                Backup backup = new Backup(other, null, options(dir.resolve("other/state"), false, 0), said::add)) {
            backup.run();
        }
        scribble(3);
        assertTrue(run().toString().endsWith(".000004.incr.erastream"), "beside the other's");
        Files.delete(dir.resolve("streams/dev.000004.incr.erastream"));
        Files.delete(ours);
        Files.move(dir.resolve("streams/dev.000003.full.erastream"), dir.resolve("streams/dev.000009.full.erastream"));
        assertTrue(run().toString().endsWith(".000010.full.erastream"), said.toString());
    }

    /** Another host's, which no lock keeps away; or one whose name differs in case, on a file system that sees none. */
    @Test
    void aStreamThatSomebodyMadeMeanwhileIsNotReplaced() throws IOException {
        run();
        Path theirs = dir.resolve("streams/dev.000002.incr.erastream");
        device.whileCopying = () -> {
            try {
                Files.writeString(theirs, "theirs");
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        };
        IOException e = assertThrows(IOException.class, this::run);
        assertTrue(e.getMessage().startsWith(theirs + ": somebody else has made"), e.getMessage());
        assertEquals("theirs", Files.readString(theirs));
        Files.delete(theirs);
        scribble(3);
        assertTrue(run().toString().endsWith(".000002.incr.erastream"), said.toString());
        assertTargetEqualsOrigin();
    }

    @Test
    void anIncrementIsNotMadeAfterAStreamThatIsCut() throws IOException {
        run();
        scribble(3);
        Path cut = run();
        Files.write(cut, java.util.Arrays.copyOf(Files.readAllBytes(cut), 1000));
        assertTrue(run().toString().endsWith(".000003.full.erastream"), "nothing could be applied after it");
        Files.delete(cut);
        assertTargetEqualsOrigin();
    }

    private Path history() throws IOException {
        try (Stream<Path> files = Files.list(dir)) {
            return files.filter(f -> f.toString().endsWith(".eras")).findFirst().orElseThrow();
        }
    }

    /** A device to which nobody has written yet, with two backups' worth of eras. */
    private void beginWithAFreshDevice(Path folder) throws IOException {
        device.close();
        device = new FileEraDevice(Files.createDirectory(folder), 4_000_256);
    }

    private void assertFullBecause(String why) throws IOException {
        Path stream = run();
        assertTrue(stream.toString().endsWith(".full.erastream"), stream.toString());
        assertTrue(said.get(said.size() - 1).contains(why), said.toString());
        assertTargetEqualsOrigin();
    }

    @Test
    void aBlockThatWasNeverWrittenAndNowHasAnOldEraGivesAFullBackup() throws IOException {
        beginWithAFreshDevice(dir.resolve("fresh"));
        while (device.currentEra() < 5) {
            device.checkpoint();
        }
        run();
        device.writeBehind(100_000, new byte[] {1});
        device.makeMetadataAnew();
        device.write(3_000_000, new byte[] {2});
        while (device.currentEra() < 20) {
            device.checkpoint();
        }
        assertFullBecause("made anew");
    }

    @Test
    void oneBlockAmongThousandsThatContradictsGivesAFullBackup() throws IOException {
        FileEraDevice before = device;
        beginWithAFreshDevice(dir.resolve("large"));
        before.close();
        device.resize(40_000_000);
        for (int block = 0; block < 4000; block++) {
            device.write((long) block * FileEraDevice.BLOCK_BYTES, new byte[] {1});
        }
        run();
        long era = device.currentEra();
        device.makeMetadataAnew();
        // The same writes in the same eras once more, but for one block: nearly all of the history is the same.
        device.checkpoint();
        for (int block = 0; block < 4000; block++) {
            if (block != 1234) {
                device.write((long) block * FileEraDevice.BLOCK_BYTES, new byte[] {1});
            }
        }
        while (device.currentEra() <= era + 3) {
            device.checkpoint();
        }
        assertFullBecause("made anew");
    }

    @Test
    void anEraThatIsNotAboveTheLastBackupsGivesAFullBackup() throws IOException {
        beginWithAFreshDevice(dir.resolve("fresh"));
        run();
        for (int i = 0; i < 3; i++) {
            long latest = device.currentEra() - 1;
            device.writeBehind(500_000 + 1000 * i, new byte[] {1});
            device.makeMetadataAnew();
            while (device.currentEra() < latest) {
                device.checkpoint();
            }
            assertFullBecause("made anew");
        }
    }

    @Test
    void aLostHistoryGivesAFullBackupAndOldOnesAreDeleted() throws IOException {
        run();
        scribble(3);
        run();
        List<Path> histories;
        try (Stream<Path> files = Files.list(dir)) {
            histories = files.filter(f -> f.toString().endsWith(".eras")).toList();
        }
        assertEquals(1, histories.size(), histories.toString());
        byte[] bytes = Files.readAllBytes(histories.get(0));
        bytes[bytes.length / 2] ^= 1;
        Files.write(histories.get(0), bytes);
        assertFullBecause("gone or damaged");
        scribble(3);
        assertTrue(run().toString().endsWith(".incr.erastream"));
    }

    /** As after an upgrade that was taken back; it would be no other the next night, nor ever. */
    @Test
    void aHistoryOfALaterVersionGivesAFullBackup() throws IOException {
        run();
        BackupState state = BackupState.read(dir.resolve("state"));
        byte[] later = Files.readAllBytes(dir.resolve("state.000002.eras"));
        later[Integer.BYTES + Integer.BYTES - 1]++;
        Files.write(dir.resolve("state.000002.eras"), later);
        new BackupState(
                        state.identity(),
                        state.era(),
                        state.sizeBytes(),
                        state.blockSizeBytes(),
                        state.number(),
                        state.increments(),
                        Sha256.hex(later),
                        state.metadataSnapshot(),
                        state.originSnapshot())
                .write(dir.resolve("state"));
        assertFullBecause("of a later version");
    }

    @Test
    void aSnapshotThatSomebodyTookInBetweenIsNotDropped() throws IOException {
        run();
        scribble(5);
        device.whileCopying = () -> {
            throw new IllegalStateException("killed here");
        };
        Backup killed = backup(null, 0);
        assertThrows(IllegalStateException.class, killed::run);
        long ours = device.snapshotBlock();
        device.dropSnapshot();
        device.takeSnapshot();
        long theirs = device.snapshotBlock();
        assertTrue(ours > 0 && theirs > 0, ours + ", " + theirs);
        try (Backup backup = backup(null, 0)) {
            assertThrows(Backup.BusyException.class, backup::run);
        }
        assertEquals(theirs, device.snapshotBlock());
        assertTrue(said.stream().anyMatch(s -> s.contains("is not the one that this backup took")), said.toString());
        device.dropSnapshot();
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void aSnapshotThatSomebodyTookJustBeforeUsIsNotDropped() throws IOException {
        run();
        device.beforeNextTake = device::takeSnapshot;
        try (Backup backup = backup(null, 0)) {
            assertThrows(Backup.BusyException.class, backup::run);
        }
        long block = device.snapshotBlock();
        assertTrue(block > 0, "theirs is held");
        try (Backup backup = backup(null, 0)) {
            assertThrows(Backup.BusyException.class, backup::run);
        }
        assertEquals(block, device.snapshotBlock());
        device.dropSnapshot();
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void afterAKillSomebodyElsesSnapshotIsNotDropped() throws IOException {
        run();
        scribble(5);
        device.afterSnapshot = () -> {
            throw new IllegalStateException("killed here");
        };
        Backup killed = backup(null, 0);
        assertThrows(IllegalStateException.class, killed::run);
        device.afterSnapshot = () -> {};
        device.dropSnapshot();
        device.checkpoint();
        device.takeSnapshot();
        assertHeldUntilSomebodyDropsIt();
    }

    /** "Try again later" would be said for good: nobody drops it but this program, which can't know that it is its own. */
    @Test
    void aSnapshotThatMayBeThatOfAKilledBackupIsAFailureAndNoReasonToWait() throws IOException {
        run();
        scribble(5);
        device.beforeNextTake = device::checkpoint;
        device.afterSnapshot = () -> {
            throw new IllegalStateException("killed here");
        };
        Backup killed = backup(null, 0);
        assertThrows(IllegalStateException.class, killed::run);
        device.afterSnapshot = () -> {};
        assertHeldUntilSomebodyDropsIt();
    }

    private void assertHeldUntilSomebodyDropsIt() throws IOException {
        long block = device.snapshotBlock();
        for (int i = 0; i < 2; i++) {
            IOException failure = assertThrows(IOException.class, () -> {
                try (Backup backup = backup(null, 0)) {
                    backup.run();
                }
            });
            assertFalse(failure instanceof Backup.BusyException, failure.getMessage());
            assertTrue(failure.getMessage().contains("if nobody uses it, drop it"), failure.getMessage());
            assertEquals(block, device.snapshotBlock());
        }
        device.dropSnapshot();
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void theOriginSnapshotIsRemovedAlsoWhenTheMetadataSnapshotCantBeDropped() throws IOException {
        Path snapshot = dir.resolve("snapshot");
        OriginHook hook = new OriginHook(
                "if [ $ERA_BACKUP_ACTION = create ]; then cp \"$ERA_BACKUP_ORIGIN\" '" + snapshot + "'; echo '"
                        + snapshot + "'; else rm \"$ERA_BACKUP_SNAPSHOT\"; fi",
                device);
        device.beforeNextDrop = () -> {
            throw new IOException("no answer");
        };
        Backup backup = backup(hook, 0);
        assertEquals("no answer", assertThrows(IOException.class, backup::run).getMessage());
        assertFalse(Files.exists(snapshot));
        backup.close();
        scribble(5);
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void anIncrementIsNotMadeWhereTheStreamIsMissingThatItWouldFollow() throws IOException {
        run();
        scribble(3);
        Files.delete(run());
        scribble(3);
        assertFullBecause("stream 2, which an increment would follow, is not in " + dir.resolve("streams"));
        scribble(3);
        assertTrue(run().toString().endsWith(".incr.erastream"), "and goes on from there");
        assertTargetEqualsOrigin();
    }

    @Test
    void whatAKilledBackupLeftOfAStreamIsDeletedByTheNextOneAndNothingElse() throws IOException {
        run();
        Path streams = dir.resolve("streams");
        Path left = Files.write(streams.resolve("dev.000002.full.erastream.partial"), new byte[1000]);
        Path history = Files.write(dir.resolve("state.000007.eras.partial"), new byte[1000]);
        Path other = Files.write(streams.resolve("dev.old.000002.full.erastream.partial"), new byte[1000]);
        Path busy = streams.resolve("dev.000009.full.erastream");
        try (var merge = new org.dmera.tools.backup.copy.StreamOutput(busy)) {
            merge.write(java.nio.ByteBuffer.wrap(new byte[] {1}));
            run();
            assertTrue(Files.exists(streams.resolve("dev.000009.full.erastream.partial")), "somebody is writing it");
        }
        assertFalse(Files.exists(left));
        assertFalse(Files.exists(history));
        assertTrue(Files.exists(other), "another device's");
    }

    @Test
    void anErasThatWentBackGivesAFullBackup() throws IOException {
        for (int i = 0; i < 4; i++) {
            run();
        }
        device.makeMetadataAnew();
        assertTrue(run().toString().endsWith(".full.erastream"));
        assertTargetEqualsOrigin();
    }

    @Test
    void anOriginThatGrowsAndShrinksIsFollowed() throws IOException {
        run();
        device.resize(6_000_000);
        device.writeBehind(5_500_000, new byte[] {1, 2, 3});
        run();
        assertTargetEqualsOrigin();
        device.resize(2_000_000);
        scribble(3);
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void shrinkingAndGrowingAgainBetweenTwoBackupsGivesAFullOne() throws IOException {
        device.write(3_990_000, new byte[] {9});
        run();
        device.resize(1_000_000);
        device.resize(4_000_256);
        assertTrue(run().toString().endsWith(".full.erastream"), said.toString());
        assertTargetEqualsOrigin();
    }

    @Test
    void theHooksSnapshotIsReadAndRemoved() throws IOException {
        Path snapshot = dir.resolve("snap shot");
        Path log = dir.resolve("log");
        OriginHook hook = new OriginHook(
                "echo \"$ERA_BACKUP_ACTION [$ERA_BACKUP_SNAPSHOT] $ERA_BACKUP_DEVICE\" >>'" + log + "';"
                        + " if [ $ERA_BACKUP_ACTION = create ]; then cp \"$ERA_BACKUP_ORIGIN\" '" + snapshot
                        + "'; echo some words; echo '" + snapshot + "'; else rm \"$ERA_BACKUP_SNAPSHOT\"; fi",
                device);
        byte[] before = Files.readAllBytes(device.origin);
        device.afterSnapshot = () -> scribble(5);
        try (Backup backup = backup(hook, 0)) {
            backup.run();
        }
        applyAll();
        assertEquals(-1L, Files.mismatch(Files.write(dir.resolve("before"), before), target), "of one moment");
        assertFalse(Files.exists(snapshot));
        assertEquals(List.of("create [] dev", "remove [" + snapshot + "] dev"), Files.readAllLines(log));
        device.afterSnapshot = () -> {};
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void aHookThatFailsFailsTheBackupAndIsAskedToCleanUp() throws IOException {
        Path log = dir.resolve("log");
        OriginHook hook =
                new OriginHook("echo $ERA_BACKUP_ACTION >>'" + log + "'; [ $ERA_BACKUP_ACTION = remove ]", device);
        try (Backup backup = backup(hook, 0)) {
            IOException e = assertThrows(IOException.class, backup::run);
            assertTrue(e.getMessage().contains("failed to create (exit code 1)"), e.getMessage());
        }
        assertEquals(List.of("create", "remove"), Files.readAllLines(log));
        assertEquals(-1, device.snapshotBlock());
        OriginHook silent = new OriginHook("true", device);
        try (Backup backup = backup(silent, 0)) {
            assertTrue(assertThrows(IOException.class, backup::run).getMessage().contains("did not print"));
        }
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void whatAHookLeavesRunningIsNotWaitedFor() throws Exception {
        Path pid = dir.resolve("pid");
        OriginHook hook = new OriginHook("sleep 60 & echo $! >>'" + pid + "'; echo '" + device.origin() + "'", device);
        long began = System.nanoTime();
        try (Backup backup = backup(hook, 0)) {
            backup.run();
        } finally {
            for (String each : Files.readAllLines(pid)) {
                ProcessHandle.of(Long.parseLong(each)).ifPresent(ProcessHandle::destroy);
            }
        }
        assertTrue(System.nanoTime() - began < TimeUnit.SECONDS.toNanos(50), "it was waited for");
        assertTargetEqualsOrigin();
    }

    @Test
    void aSignalEndsTheCopyAndDropsTheSnapshot() throws Exception {
        run();
        byte[] noise = new byte[3_500_000];
        random.nextBytes(noise);
        device.write(0, noise);
        CountDownLatch taken = new CountDownLatch(1);
        device.afterSnapshot = taken::countDown;
        try (Backup backup = backup(null, 100_000)) {
            Thread signal = new Thread(() -> {
                try {
                    taken.await();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
                backup.stop();
            });
            signal.start();
            assertThrows(IOException.class, backup::run);
            signal.join();
        }
        assertEquals(-1, device.snapshotBlock());
        device.afterSnapshot = () -> {};
        run();
        assertTargetEqualsOrigin();
    }

    @Test
    void whateverASignalMakesFailIsToldAsAnInterruption() throws Exception {
        try (Backup backup = backup(null, 0)) {
            backup.through(new Backup.Views() {
                @Override
                public long begin(EraDevice of) throws IOException {
                    return of.checkpoint();
                }

                @Override
                public OriginSource open(EraDevice of) throws IOException {
                    backup.stop();
                    return OriginReader.open(of.origin());
                }

                @Override
                public void requireWhole(EraDevice of) {}
            });
            // The next read of a file has closed it, and says nothing.
            assertEquals(
                    "interrupted", assertThrows(IOException.class, backup::run).getMessage());
        }
        assertFalse(Thread.interrupted());
        assertEquals(-1, device.snapshotBlock());
    }

    @Test
    void eachNthBackupIsFullWhenAskedFor() throws IOException {
        List<String> kinds = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            try (Backup backup = new Backup(
                    device,
                    null,
                    new Backup.Options(
                            dir.resolve("streams"),
                            dir.resolve("state"),
                            false,
                            3,
                            100,
                            null,
                            CopyEngine.Options.DEFAULT,
                            true),
                    said::add)) {
                kinds.add(backup.run().toString().replaceAll(".*\\.(full|incr)\\.erastream", "$1"));
            }
            scribble(2);
        }
        assertEquals(List.of("full", "incr", "incr", "full", "incr", "incr", "full"), kinds);
    }
}
