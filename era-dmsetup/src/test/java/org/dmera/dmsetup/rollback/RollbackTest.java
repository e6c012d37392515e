// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.tools.cli.Console;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(300)
class RollbackTest {
    @TempDir
    private Path folder;

    private CachingKernel kernel;
    private Path records;
    private long since;
    private String formerTable;
    private Map<Integer, Integer> expected;
    private Map<Integer, Integer> expectedIfClean;
    private final List<String> said = new ArrayList<>();
    private int commandRuns;
    private volatile boolean stopped;

    @BeforeEach
    void aCacheInUse() throws IOException {
        setUp(folder);
    }

    /** 40 blocks cached, a new era, ten places written, some blocks dirty. */
    private void setUp(Path place) throws IOException {
        Files.createDirectories(place);
        kernel = new CachingKernel(place);
        records = place.resolve("records");
        said.clear();
        commandRuns = 0;
        for (int c = 0; c < 40; c++) {
            kernel.cached.put(c, (c * 37) % (CachingKernel.CACHE_SECTORS / CachingKernel.CACHE_BLOCK));
        }
        kernel.mark(5);
        since = kernel.checkpoint();
        Set<Integer> written = new TreeSet<>();
        for (int i = 0; i < 10; i++) {
            int sector = kernel.cached.get(3 * i) * CachingKernel.CACHE_BLOCK + 7 * i;
            kernel.mark(sector);
            written.add(CachingKernel.eraSector(sector) / CachingKernel.ERA_BLOCK);
        }
        for (int c = 5; c < 20; c++) {
            kernel.dirty.add(c);
        }
        expectedIfClean = kept(written);
        // What is dirty is written back before the rollback, and so counts as written since.
        for (int c : kernel.dirty) {
            for (int s = 0; s < CachingKernel.CACHE_BLOCK; s++) {
                int sector = kernel.cached.get(c) * CachingKernel.CACHE_BLOCK + s;
                written.add(CachingKernel.eraSector(sector) / CachingKernel.ERA_BLOCK);
            }
        }
        expected = kept(written);
        formerTable = kernel.table("cached");
    }

    private Map<Integer, Integer> kept(Set<Integer> written) {
        Map<Integer, Integer> kept = new TreeMap<>(kernel.cached);
        kept.values().removeIf(origin -> {
            for (int s = 0; s < CachingKernel.CACHE_BLOCK; s++) {
                int sector = origin * CachingKernel.CACHE_BLOCK + s;
                if (written.contains(CachingKernel.eraSector(sector) / CachingKernel.ERA_BLOCK)) {
                    return true;
                }
            }
            return false;
        });
        return kept;
    }

    private void rollback(Rollback.Command command) throws IOException {
        try (Rollback rollback = open(said::add)) {
            rollback.run(command, "the command");
        }
    }

    private Rollback open(Consumer<String> log) throws IOException {
        Console console = Console.of(
                "era-dmsetup",
                new ByteArrayInputStream(new byte[0]),
                new ByteArrayOutputStream(),
                new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
                true);
        return new Rollback(
                new MappedCache(new DmClient(kernel), DeviceId.ofName("cached"), 0), since, records, log, console);
    }

    private int succeed(Rollback.Started started) {
        assertTrue(kernel.table("cached").contains(" passthrough "), "the volume is rolled back in passthrough mode");
        assertTrue(kernel.dirty.isEmpty(), "what is dirty would be lost");
        commandRuns++;
        return 0;
    }

    private void assertFinished() throws IOException {
        assertEquals(expected, kernel.cached);
        assertEquals(formerTable, kernel.table("cached"));
        assertEquals(0, kernel.era().metadataSnap(), "no metadata snapshot is held");
        assertTrue(kernel.dirty.isEmpty());
        try (Stream<Path> left = Files.list(records)) {
            assertTrue(left.noneMatch(file -> file.getFileName().toString().startsWith("rollback")));
        }
    }

    @Test
    void exactlyWhatWasWrittenSinceLeavesTheCache() throws IOException {
        assertTrue(
                expected.size() >= 10 && expected.size() < expectedIfClean.size(),
                "the test's own figures: " + expected.size());
        rollback(this::succeed);
        assertFinished();
        assertEquals(1, commandRuns);
        assertEquals("back in writeback mode; " + expected.size() + " blocks stay cached", said.get(said.size() - 2));
        assertTrue(said.get(said.size() - 1).contains("make its next backup a full one"), said.toString());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void killedAtAnyCallAndRunAgainItFinishes(boolean afterEffect) throws IOException {
        rollback(this::succeed);
        int calls = kernel.calls;
        assertTrue(calls > 30, "calls: " + calls);
        for (int kill = 0; kill < calls; kill++) {
            setUp(folder.resolve(afterEffect + "-" + kill));
            kernel.killAfterEffect = afterEffect;
            kernel.callsUntilKill = kill;
            boolean wasKilled = false;
            try {
                rollback(this::succeed);
            } catch (CachingKernel.Killed e) {
                wasKilled = true;
            }
            // Killed while it cleans, it may take a call fewer.
            kernel.callsUntilKill = -1;
            if (wasKilled) {
                rollback(this::succeed);
                assertTrue(commandRuns == 1 || commandRuns == 2, "killed at call " + kill);
            }
            assertFinished();
        }
    }

    @Test
    void killedWhileTheCommandRanItIsRunAgain() throws IOException {
        assertThrows(
                CachingKernel.Killed.class,
                () -> rollback(started -> {
                    succeed(started);
                    throw new CachingKernel.Killed();
                }));
        rollback(this::succeed);
        assertEquals(2, commandRuns);
        assertFinished();
    }

    @Test
    void aCommandThatFailsLeavesTheCacheInPassthroughMode() throws IOException {
        IOException failure = assertThrows(IOException.class, () -> rollback(started -> 7));
        assertTrue(failure.getMessage().startsWith("the command failed with exit code 7"), failure.getMessage());
        assertTrue(failure.getMessage().contains("stays in passthrough mode"), failure.getMessage());
        assertTrue(kernel.table("cached").contains(" passthrough "));
        assertEquals(40, kernel.cached.size());
        assertEquals(0, kernel.era().metadataSnap());
        rollback(this::succeed);
        assertFinished();
    }

    @Test
    void anInvalidationThatFailsLeavesTheCacheInPassthroughModeAndDoesNotRunTheCommandAgain() throws IOException {
        kernel.eioOnInvalidate = true;
        IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(failure.getMessage().contains("will not be run again"), failure.getMessage());
        assertTrue(kernel.table("cached").contains(" passthrough "));
        assertFalse(kernel.table("cached").contains("suspended"));
        kernel.eioOnInvalidate = false;
        rollback(this::succeed);
        assertEquals(1, commandRuns);
        assertFinished();
    }

    /** A snapshot that is another's is neither used nor dropped. */
    @Test
    void aHeldMetadataSnapshotIsLeftAlone() throws Exception {
        kernel.era().takeSnapshot();
        kernel.era().commit();
        long held = kernel.era().metadataSnap();
        IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(failure.getMessage().contains("a metadata snapshot of data is held"), failure.getMessage());
        assertEquals(held, kernel.era().metadataSnap());
        assertUntouched();
    }

    @Test
    void aSnapshotThatAnotherTakesWhileTheCommandRunsIsLeftAlone() throws IOException {
        IOException failure = assertThrows(
                IOException.class,
                () -> rollback(started -> {
                    kernel.checkpoint();
                    try {
                        kernel.era().takeSnapshot();
                    } catch (org.dmera.core.metadata.RefusedException e) {
                        throw new IOException(e);
                    }
                    kernel.era().commit();
                    return succeed(started);
                }));
        assertTrue(failure.getMessage().contains("is held"), failure.getMessage());
        assertTrue(kernel.era().metadataSnap() != 0);
        // Run again while it is still held: it isn't taken for ours.
        assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(kernel.era().metadataSnap() != 0);
    }

    /** A backup's, taken after ours was dropped and before the record said so. */
    @Test
    void aSnapshotThatLiesWhereOursLayIsLeftAlone() throws Exception {
        boolean tried = false;
        for (int kill = 0; !tried; kill++) {
            setUp(folder.resolve("kill-" + kill));
            kernel.killAfterEffect = true;
            kernel.callsUntilKill = kill;
            assertThrows(CachingKernel.Killed.class, () -> rollback(this::succeed));
            kernel.callsUntilKill = -1;
            Path file = records.resolve("rollback-cached");
            RollbackRecord record = RollbackRecord.load(file);
            if (record == null || record.snapshotBlock() < 0 || kernel.era().metadataSnap() != 0) {
                continue;
            }
            tried = true;
            kernel.checkpoint();
            kernel.era().takeSnapshot();
            kernel.era().commit();
            long theirs = kernel.era().metadataSnap();
            record.withSnapshot(record.snapshotBefore(), theirs).save(file);
            IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
            assertTrue(failure.getMessage().contains("is held"), failure.getMessage());
            assertEquals(theirs, kernel.era().metadataSnap());
        }
    }

    /** Killed as it took one, with somebody's checkpoint between the note of it and the taking. */
    @Test
    void aSnapshotThatMayBeOursOrSomebodyElsesIsToldBeforeAnythingElseIsDone() throws Exception {
        boolean tried = false;
        for (int kill = 0; !tried; kill++) {
            setUp(folder.resolve("kill-" + kill));
            kernel.killAfterEffect = true;
            kernel.callsUntilKill = kill;
            assertThrows(CachingKernel.Killed.class, () -> rollback(this::succeed));
            kernel.callsUntilKill = -1;
            Path file = records.resolve("rollback-cached");
            RollbackRecord record = RollbackRecord.load(file);
            if (record == null || record.snapshotBlock() >= 0 || kernel.era().metadataSnap() == 0) {
                continue;
            }
            tried = true;
            long held = kernel.era().metadataSnap();
            record.withSnapshot(record.snapshotBefore() - 1, -1).save(file);
            IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
            assertTrue(failure.getMessage().contains("may be that of the run that was killed"), failure.getMessage());
            assertEquals(held, kernel.era().metadataSnap());
            assertEquals(1, commandRuns, "it is told before the command would be run again");
            kernel.era().dropSnapshot();
            kernel.era().commit();
            rollback(this::succeed);
            assertFinished();
        }
    }

    @Test
    void whatCanNotBeDoneIsRefusedBeforeAnythingIsChanged() throws IOException {
        kernel.needsCheck = true;
        refused("needs a check");
        kernel.needsCheck = false;
        long right = since;
        since = 4000;
        refused("era 4000 of data has not begun");
        since = right;
        kernel.setTable("upper", new TargetSpec(0, CachingKernel.CACHE_SECTORS, "striped", "1 64 253:1 0"));
        refused("upper (253:2) is a striped target");
        kernel.setTable("upper", new TargetSpec(0, CachingKernel.CACHE_SECTORS, "error", ""));
        refused("upper (253:2) is an error target");
        kernel.setTable("upper", new TargetSpec(0, CachingKernel.CACHE_SECTORS, "linear", "7:9 0"));
        refused("there is no era device beneath the cache: 7:9 is no mapped device");
        kernel.setTable("upper", new TargetSpec(0, 100, "linear", "253:1 0"));
        refused("upper (253:2) is shorter than what lies on it");
        kernel.setTable("upper", new TargetSpec(0, CachingKernel.CACHE_SECTORS, "linear", "253:0 20000"));
        refused("the era device data has 48000 sectors, the cache reaches to sector 60000");
        kernel.setTable("upper", new TargetSpec(0, CachingKernel.CACHE_SECTORS, "linear", "253:1 0"));
        kernel.suspend("cached");
        IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(failure.getMessage().contains("is suspended"), failure.getMessage());
    }

    private void refused(String words) throws IOException {
        IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(failure.getMessage().contains(words), failure.getMessage());
        assertUntouched();
    }

    private void assertUntouched() throws IOException {
        assertEquals(0, commandRuns);
        assertEquals(formerTable, kernel.table("cached"));
        assertEquals(40, kernel.cached.size());
        try (Stream<Path> left = Files.list(records)) {
            assertTrue(left.noneMatch(file -> file.getFileName().toString().startsWith("rollback")));
        }
    }

    @Test
    void anUnfinishedRollbackToAnotherEraIsNotGoneOnWith() throws IOException {
        assertThrows(IOException.class, () -> rollback(started -> 1));
        long right = since;
        since = 1;
        IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(failure.getMessage().contains("finish it with --since " + right), failure.getMessage());
        since = right;
        rollback(this::succeed);
        assertFinished();
    }

    @Test
    void aRehearsalSaysEachStepAndChangesNothing() throws IOException {
        Console console = Console.of(
                "era-dmsetup",
                new ByteArrayInputStream(new byte[0]),
                new ByteArrayOutputStream(),
                new PrintStream(new ByteArrayOutputStream(), true, StandardCharsets.UTF_8),
                true);
        MappedCache cache = new MappedCache(new DmClient(kernel), DeviceId.ofName("cached"), 0);
        cache.status();
        long era = kernel.era().currentEra();
        try (Rollback rollback = new Rollback(cache, since, records, said::add, console)) {
            rollback.rehearse("vendor-rollback vol 7");
        }
        String text = String.join("\n", said);
        assertTrue(text.contains("would write back 15 dirty blocks"), text);
        assertTrue(text.contains("would run: vendor-rollback vol 7"), text);
        assertTrue(text.contains("would invalidate " + (40 - expectedIfClean.size()) + " of 40 cached blocks"), text);
        assertTrue(text.contains(expectedIfClean.size() + " would stay, less those of the dirty ones"), text);
        assertEquals(era, kernel.era().currentEra());
        assertUntouched();
    }

    @Test
    void twoAtOnceAreRefused() throws IOException {
        IOException failure = assertThrows(
                IOException.class,
                () -> rollback(started -> {
                    rollback(this::succeed);
                    return 0;
                }));
        assertTrue(failure.getMessage().contains("another rollback of cached is under way"), failure.getMessage());
        rollback(this::succeed);
        assertFinished();
    }

    @Test
    void aCacheThatIsInPassthroughModeAlreadyStaysInIt() throws IOException {
        kernel.dirty.clear();
        expected = expectedIfClean;
        CacheTable table = CacheTable.parse(new TargetSpec(
                0, CachingKernel.CACHE_SECTORS, "cache", formerTable.substring(formerTable.indexOf("cache ") + 6)));
        kernel.setTable("cached", table.passthrough().spec());
        formerTable = kernel.table("cached");
        rollback(this::succeed);
        assertFinished();
    }

    /** Whoever took it out of passthrough mode has let old blocks reach the volume: it is rolled back once more. */
    @Test
    void aCacheThatLeftPassthroughModeMeanwhileHasTheCommandRunAgain() throws IOException {
        kernel.eioOnInvalidate = true;
        assertThrows(IOException.class, () -> rollback(this::succeed));
        kernel.eioOnInvalidate = false;
        CacheTable live = CacheTable.parse(new TargetSpec(
                0, CachingKernel.CACHE_SECTORS, "cache", formerTable.substring(formerTable.indexOf("cache ") + 6)));
        kernel.setTable("cached", live.spec());
        rollback(this::succeed);
        assertEquals(2, commandRuns);
        assertFinished();
    }

    @Test
    void aTableThatSomebodyChangedMeanwhileIsNotReplaced() throws IOException {
        assertThrows(IOException.class, () -> rollback(started -> 1));
        String other = formerTable.substring(formerTable.indexOf("cache ") + 6).replace("writeback", "writethrough");
        kernel.setTable("cached", new TargetSpec(0, CachingKernel.CACHE_SECTORS, "cache", other));
        IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
        assertTrue(failure.getMessage().contains("was changed since its rollback was begun"), failure.getMessage());
        assertTrue(kernel.table("cached").contains("writethrough"));
    }

    @Test
    void aCommandThatAKilledRunHasLeftIsNotStartedASecondTime() throws IOException {
        Process vendor = new ProcessBuilder("sleep", "600").start();
        try {
            assertThrows(
                    CachingKernel.Killed.class,
                    () -> rollback(started -> {
                        String stat = Files.readString(Path.of("/proc/" + vendor.pid() + "/stat"));
                        // Field 22: no setting of the clock changes it.
                        started.process(vendor.pid(), Long.parseLong(stat.split(" ", -1)[21]));
                        throw new CachingKernel.Killed();
                    }));
            IOException failure = assertThrows(IOException.class, () -> rollback(this::succeed));
            assertTrue(failure.getMessage().contains("still works, as process " + vendor.pid()), failure.getMessage());
            assertEquals(0, commandRuns);
        } finally {
            vendor.destroyForcibly().onExit().join();
        }
        rollback(this::succeed);
        assertFinished();
    }

    /** Ctrl-C while the cleaner works: nothing has been done to the volume, so nothing is left of it. */
    @Test
    void interruptedBeforeTheCommandItLeavesEverythingAsItWas() throws Exception {
        interruptWhileCleaning();
        assertUntouched();
    }

    @Test
    void interruptedBeforeTheCommandRunsAgainItIsStillKnownThatItMayHaveRun() throws Exception {
        TargetSpec former =
                new DmClient(kernel).table(DeviceId.ofName("cached")).get(0);
        assertThrows(
                CachingKernel.Killed.class,
                () -> rollback(started -> {
                    throw new CachingKernel.Killed();
                }));
        // Somebody has put the cache in use again, with what is stale in it.
        kernel.setTable("cached", former);
        kernel.dirty.add(7);
        interruptWhileCleaning();
        assertEquals(formerTable, kernel.table("cached"));
        kernel.cleanerStuck = "";
        rollback(this::succeed);
        assertTrue(said.get(said.size() - 1).contains("make its next backup a full one"), said::toString);
        assertTrue(
                said.contains("going on with the rollback of cached to era " + since + " that was begun"),
                said::toString);
        assertFinished();
    }

    private void interruptWhileCleaning() throws Exception {
        kernel.cleanerStuck = "stuck";
        try (Rollback rollback = open(line -> {})) {
            Thread running = Thread.currentThread();
            Thread ending = new Thread(() -> {
                while (!kernel.table("cached").contains(" cleaner ")) {
                    LockSupport.parkNanos(1_000_000);
                }
                rollback.stop();
                kernel.interrupt(running);
            });
            ending.start();
            assertThrows(IOException.class, () -> rollback.run(this::succeed, "the command"));
            assertTrue(Thread.interrupted());
            ending.join();
        }
    }

    @Test
    void onceTheProcessEndsNothingIsBegun() throws Exception {
        runUntilItWaitsForTheEnd(rollback -> {}, rollback -> stop(rollback));
        assertUntouched();
    }

    @Test
    void onceTheProcessEndsTheCommandIsNotStarted() throws Exception {
        runUntilItWaitsForTheEnd(rollback -> stop(rollback), rollback -> {});
        assertTrue(kernel.table("cached").contains(" passthrough "));
        assertEquals(0, commandRuns, "nobody would know that it runs");
    }

    private void stop(Rollback rollback) {
        Thread signal = new Thread(rollback::stop);
        signal.start();
        assertDoesNotThrow(() -> signal.join());
        stopped = true;
    }

    /** Runs a rollback, with a kernel of the same thread's, until it waits: for ever. */
    private void runUntilItWaitsForTheEnd(Consumer<Rollback> beforeTheCommand, Consumer<Rollback> atFirst) {
        Thread running = new Thread(() -> assertDoesNotThrow(() -> {
            setUp(folder.resolve("kernel"));
            Rollback[] itself = new Rollback[1];
            itself[0] = open(line -> {
                if (line.startsWith("running")) {
                    beforeTheCommand.accept(itself[0]);
                }
            });
            atFirst.accept(itself[0]);
            itself[0].run(this::succeed, "the command");
        }));
        running.setDaemon(true);
        running.start();
        while (running.isAlive() && !(stopped && running.getState() == Thread.State.WAITING)) {
            LockSupport.parkNanos(1_000_000);
        }
    }
}
