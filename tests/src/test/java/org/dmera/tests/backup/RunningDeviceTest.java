// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.dmera.dmsetup.backup.BackupCommand;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** era_backup, and pulls over NBD, on a device of an engine in a process of its own. */
@Timeout(600)
@Alone
class RunningDeviceTest {
    private static final String NAME =
            "era-backup-test-" + ProcessHandle.current().pid();
    private static final int DEVICE_BYTES = 32 << 20;
    private static final int BLOCK_BYTES = 65536;

    @TempDir
    private Path folder;

    private final long seed = System.nanoTime();
    private final Random random = new Random(seed);
    private Programs programs;
    private Programs.Running engine;
    private Path origin;
    private Path metadata;
    private String uri;

    @BeforeEach
    void startEngine() throws Exception {
        Programs.need("qemu-img", "qemu-io", "nbdinfo", "nbdcopy");
        Path control = folder.resolve("control");
        programs = new Programs(folder, Map.of("ERA_CONTROL", control.toString()));
        engine = programs.start(
                "era-dmsetup",
                "engine",
                "--control",
                control,
                "--nbd",
                folder.resolve("nbd"),
                "--state",
                folder.resolve("engine"));
        origin = sized("origin", DEVICE_BYTES);
        metadata = sized("metadata", 4 << 20);
        String table = "0 " + DEVICE_BYTES / 512 + " era " + metadata + " " + origin + " " + BLOCK_BYTES / 512;
        while (!Files.exists(control)) {
            if (engine.process().waitFor(20, TimeUnit.MILLISECONDS)) {
                engine.await().good();
            }
        }
        programs.run("era-dmsetup", "create", NAME, "--table", table).good();
        uri = programs.run("era-dmsetup", "uri", NAME).good().trim();
    }

    @AfterEach
    void stopEngine() throws Exception {
        if (engine != null) {
            engine.process().destroy();
            engine.await();
        }
    }

    private Path sized(String name, long bytes) throws IOException {
        Path file = folder.resolve(name);
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(bytes);
        }
        return file;
    }

    /** Random writes by a client of the device. */
    private void write(int writes) throws Exception {
        List<Object> command = new ArrayList<>(List.of("-f", "raw", uri));
        for (int i = 0; i < writes; i++) {
            int length = 512 * (1 + random.nextInt(400));
            int offset = 512 * random.nextInt((DEVICE_BYTES - length) / 512);
            command.add("-c");
            command.add("write -P " + random.nextInt(256) + " " + offset + " " + length);
        }
        programs.host("qemu-io", command.toArray()).good();
    }

    /** In this process: a program takes as long to start as some snapshots are held. */
    private String status() throws IOException {
        try (DmClient client = DmClient.open(folder.resolve("control").toString(), line -> {})) {
            return client.status(DeviceId.ofName(NAME)).get(0).params();
        }
    }

    private void awaitSnapshot(Programs.Running backup) throws IOException {
        while (status().endsWith(" -")) {
            assertTrue(backup.process().isAlive(), "the backup ended before its snapshot was seen");
        }
    }

    private void assertNoView(String backupSaid) throws Exception {
        String devices = programs.run("era-dmsetup", "ls").good();
        assertEquals(1, devices.lines().count(), devices + "seed " + seed + "\n" + backupSaid);
    }

    private Object[] backup(Object... more) {
        List<Object> args = new ArrayList<>(List.of(NAME, "--to", folder.resolve("streams")));
        args.addAll(List.of(more));
        return args.toArray();
    }

    private void assertChainGivesTheOrigin() throws Exception {
        List<Object> args = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder.resolve("streams"))) {
            files.filter(f -> f.toString().endsWith(".erastream")).sorted().forEach(args::add);
        }
        args.addAll(List.of("-o", folder.resolve("target")));
        InProcess.run("era_apply", args.toArray());
        assertEquals(-1L, Files.mismatch(origin, folder.resolve("target")), "seed " + seed);
    }

    @Test
    void backupsOfADeviceInUseFollowIt() throws Exception {
        write(40);
        for (int i = 0; i < 4; i++) {
            Programs.Running backup = programs.start("era_backup", backup("--bwlimit", "50M"));
            write(10);
            backup.await().good();
            write(5);
        }
        programs.run("era_backup", backup()).good();
        assertTrue(status().endsWith(" -"), "no metadata snapshot is held: " + status());
        assertChainGivesTheOrigin();
    }

    @Test
    void aKilledBackupIsCleanedUpByTheNext() throws Exception {
        write(40);
        programs.run("era_backup", backup()).good();
        int kills = Programs.NIGHTLY ? 60 : 8;
        int held = 0;
        for (int i = 0; i < kills; i++) {
            write(20);
            // Every third one takes so long that its snapshot is seen, however busy the machine is.
            Programs.Running backup = programs.start("era_backup", backup("--bwlimit", i % 3 == 0 ? "500K" : "4M"));
            int millis = 200 + random.nextInt(1300);
            if (i % 3 == 0) {
                // The last one held none: so that some kills come while it is held, however long a program takes to
                // start.
                awaitSnapshot(backup);
                millis = random.nextInt(300);
            }
            backup.process().waitFor(millis, TimeUnit.MILLISECONDS);
            backup.kill();
            backup.await();
            held += status().endsWith(" -") ? 0 : 1;
            if (i % 3 == 2) {
                programs.run("era_backup", backup()).good();
                assertTrue(status().endsWith(" -"), status() + ", seed " + seed);
                assertNoView("");
                assertChainGivesTheOrigin();
            }
        }
        programs.run("era_backup", backup()).good();
        assertTrue(status().endsWith(" -"), status() + ", seed " + seed);
        assertNoView("");
        assertChainGivesTheOrigin();
        assertTrue(held > 0, "no kill came while the snapshot was held, seed " + seed);
    }

    @Test
    void theViewOfAKilledBackupIsThawedByTheNextAlsoWhereThatCallsTheFolderOtherwise() throws Exception {
        write(40);
        Path link = Files.createSymbolicLink(folder.resolve("link"), Files.createDirectory(folder.resolve("streams")));
        Programs.Running backup = programs.start("era_backup", NAME, "--to", link, "--bwlimit", "1M");
        awaitSnapshot(backup);
        backup.kill();
        backup.await();
        String said = backUpHere(0, backup());
        assertNoView(said);
    }

    /** era_backup in this process, which saves the start of a JVM. */
    private String backUpHere(int exitCode, Object... args) throws IOException {
        List<String> words =
                new ArrayList<>(List.of("--control", folder.resolve("control").toString()));
        for (Object arg : args) {
            words.add(arg.toString());
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(out, true, StandardCharsets.UTF_8);
        int code = CommandLine.run(
                new BackupCommand(), words.toArray(new String[0]), InputStream.nullInputStream(), out, err);
        assertEquals(exitCode, code, out.toString(StandardCharsets.UTF_8));
        return out.toString(StandardCharsets.UTF_8);
    }

    /** Puts what is in the folder onto a fresh target, and returns which of the states that is; −1 for none. */
    private int stateInTheFolder(List<Path> states) throws Exception {
        Path target = folder.resolve("target");
        Path state = folder.resolve("target.state");
        Files.deleteIfExists(target);
        Files.deleteIfExists(state);
        List<Object> args = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder.resolve("streams"))) {
            files.filter(f -> f.toString().endsWith(".erastream")).sorted().forEach(args::add);
        }
        args.addAll(List.of("-o", target, "--state", state));
        InProcess.run("era_apply", args.toArray());
        for (int i = states.size() - 1; i >= 0; i--) {
            if (Files.mismatch(states.get(i), target) < 0) {
                return i;
            }
        }
        return -1;
    }

    @Test
    void aBackupThatKeepsAFewIsKilledAnywhereAndTheFolderHoldsTheLastStateOrTheOneBefore() throws Exception {
        Object[] keeping = backup("--keep", 1, "--quiet");
        List<Path> states = new ArrayList<>();
        long usual = 0;
        int kills = 0;
        int rounds = Programs.NIGHTLY ? 100 : 5;
        for (int i = 0; i < rounds || kills == 0; i++) {
            write(3);
            states.add(Files.copy(origin, folder.resolve("state" + i)));
            if (i < 2) {
                long began = System.nanoTime();
                programs.run("era_backup", keeping).good();
                usual = System.nanoTime() - began;
                continue;
            }
            Programs.Running backup = programs.start("era_backup", keeping);
            // Most of the time is the start of the program.
            double when = 0.4 + 0.6 * random.nextDouble();
            long began = System.nanoTime();
            boolean ended = backup.process().waitFor((long) (usual * when), TimeUnit.NANOSECONDS);
            if (ended) {
                // The machine was busier when that was measured.
                usual = System.nanoTime() - began;
            }
            backup.kill();
            backup.await();
            kills += ended ? 0 : 1;
            int state = stateInTheFolder(states);
            assertTrue(state == i || state == i - 1, "state " + state + " after kill " + i + ", seed " + seed);
            backUpHere(0, keeping);
            assertEquals(i, stateInTheFolder(states), "seed " + seed);
            Files.delete(states.get(i - 2));
            states.set(i - 2, folder.resolve("metadata"));
        }
        assertTrue(status().endsWith(" -"), status());
        assertNoView("");
    }

    @Test
    void backupsAreListedVerifiedMeasuredAndMerged() throws Exception {
        write(20);
        Path metrics = folder.resolve("backup.prom");
        Object[] keeping = backup("--keep", 2, "--metrics", metrics);
        for (int i = 0; i < 5; i++) {
            write(1);
            backUpHere(0, keeping);
        }
        String table = backUpHere(0, backup("--list"));
        assertEquals(4, table.lines().count(), table);
        assertTrue(table.contains(NAME + ".000003.full.erastream  all ") && !table.contains(".000002."), table);
        assertChainGivesTheOrigin();

        JsonNode json = new ObjectMapper().readTree(backUpHere(0, backup("--list", "--json")));
        assertEquals(5, json.get("last_backup").get("number").asInt(), json.toString());
        assertTrue(json.get("last_backup").get("age_seconds").asLong() < 600, json.toString());
        assertEquals(1024, json.get("metadata").get("total_blocks").asInt(), json.toString());
        assertTrue(json.get("metadata").get("used_blocks").asInt() > 5, json.toString());
        assertEquals(3, json.get("streams").size(), json.toString());

        String text = Files.readString(metrics);
        String label = "{device=\"" + NAME + "\"} ";
        assertTrue(text.contains("era_backup_run_success" + label + "1\n"), text);
        assertTrue(text.contains("era_backup_streams" + label + "3\n"), text);
        assertTrue(text.contains("era_backup_metadata_blocks" + label + "1024\n"), text);

        String sound = backUpHere(0, backup("--verify"));
        assertEquals(3, sound.split(": sound, ", -1).length - 1, sound);
        Path increment = folder.resolve("streams/" + NAME + ".000004.incr.erastream");
        byte[] bytes = Files.readAllBytes(increment);
        bytes[bytes.length - 100] ^= 1;
        Files.write(increment, bytes);
        String damaged = backUpHere(1, backup("--verify"));
        assertTrue(damaged.contains(increment + ": chunk "), damaged);
        // The next backup is made, and says that the older ones stay as they are.
        write(1);
        String notMerged = backUpHere(1, keeping);
        assertTrue(notMerged.contains("the backup is made, but older ones were not merged"), notMerged);
        assertTrue(Files.readString(metrics).contains("era_backup_run_success" + label + "0\n"));
        assertTrue(Files.exists(folder.resolve("streams/" + NAME + ".000003.full.erastream")));
    }

    /** 256 GiB, which nobody reads in the time that a test has. */
    @Test
    void theFirstCopyDoesNotReadThroughTheViewWhatWasNeverWritten() throws Exception {
        String name = NAME + "-sparse";
        long bytes = 256L << 30;
        Path large = sized("large", bytes);
        String table = "0 " + bytes / 512 + " era " + sized("large-metadata", 4 << 20) + " " + large + " 8192";
        programs.run("era-dmsetup", "create", name, "--table", table).good();
        String at = programs.run("era-dmsetup", "uri", name).good().trim();
        programs.host(
                        "qemu-io",
                        "-f",
                        "raw",
                        at,
                        "-c",
                        "write -P 1 0 5000",
                        "-c",
                        "write -P 2 100G 300k",
                        "-c",
                        "write -P 3 " + (bytes - 512) + " 512")
                .good();
        String said = backUpHere(0, name, "--to", folder.resolve("streams"));
        assertTrue(said.contains(".full."), said);
        Path stream;
        try (Stream<Path> files = Files.list(folder.resolve("streams"))) {
            stream = files.filter(path -> path.toString().endsWith(".erastream"))
                    .findFirst()
                    .orElseThrow();
        }
        InProcess.run("era_apply", stream, "-o", folder.resolve("target"));
        programs.host("qemu-img", "compare", "-f", "raw", "-F", "raw", large, folder.resolve("target"))
                .good();
        programs.run("era-dmsetup", "remove", name).good();
    }

    @Test
    void aFullCopyIsMadeWhenMoreChangedThanIsWorthAnIncrement() throws Exception {
        write(5);
        backUpHere(0, backup("--max-changed", 30));
        programs.host("qemu-io", "-f", "raw", uri, "-c", "write -P 7 0 4M").good();
        String little = backUpHere(0, backup("--max-changed", 30));
        assertTrue(little.contains(".000002.incr."), little);
        programs.host("qemu-io", "-f", "raw", uri, "-c", "write -P 7 0 16M").good();
        String much = backUpHere(0, backup("--max-changed", 30));
        assertTrue(much.contains(".000003.full.") && much.contains("more than 30 % of the origin changed"), much);
        assertChainGivesTheOrigin();
    }

    @Test
    void aViewIsANodeOfItsOwnWhichStaysWhatItWasUntilItIsThawed() throws Exception {
        Programs.needRootAnd();
        write(20);
        byte[] then = Files.readAllBytes(origin);
        String view = programs.run("era-dmsetup", "freeze", NAME, "--cow", folder)
                .good()
                .replaceFirst("(?s)\\s.*", "");
        assertTrue(view.startsWith(NAME + "@"), view);
        Path node = Path.of(programs.run("era-dmsetup", "attach", view).good().trim());
        write(20);
        assertEquals(-1, Arrays.mismatch(then, Files.readAllBytes(node)), "seed " + seed);
        assertTrue(Arrays.mismatch(then, Files.readAllBytes(origin)) >= 0, "seed " + seed);
        programs.run("era-dmsetup", "detach", view).good();
        programs.run("era-dmsetup", "thaw", view).good();
        assertNoView("");
    }

    @Test
    void aDeviceInUseIsTakenBackThroughItselfAndTheNextBackupHoldsThat() throws Exception {
        Programs.needRootAnd();
        write(40);
        backUpHere(0, backup());
        byte[] then = Files.readAllBytes(origin);
        Path full = folder.resolve("streams/" + NAME + ".000001.full.erastream");
        String era = InProcess.run("era_apply", "-n", full, "-o", folder.resolve("none"))
                .replaceAll("(?s).*up to era ([0-9]+).*", "$1");
        write(10);
        backUpHere(0, backup());
        write(10);
        String node = programs.run("era-dmsetup", "attach", NAME).good().trim();
        programs.run("era-dmsetup", "message", NAME, "0", "take_metadata_snap").good();
        Object[] revert = {full, "--changed-since", era, "-m", metadata, "--metadata-snapshot", "--compare"};
        InProcess.Result past = InProcess.tryRun("era_apply", with(revert, "-o", origin));
        assertTrue(past.code() == 1 && past.text().contains("is not a block device"), past.text());
        write(1);
        InProcess.Result stale = InProcess.tryRun("era_apply", with(revert, "-o", node));
        assertTrue(stale.code() == 1 && stale.text().contains("written to since the metadata snapshot"), stale.text());
        programs.run("era-dmsetup", "message", NAME, "0", "drop_metadata_snap").good();
        programs.run("era-dmsetup", "message", NAME, "0", "take_metadata_snap").good();
        String said = InProcess.run("era_apply", with(revert, "-o", node));
        assertTrue(said.contains("and verified: wrote"), said);
        programs.run("era-dmsetup", "message", NAME, "0", "drop_metadata_snap").good();
        programs.run("era-dmsetup", "detach", NAME).good();
        assertEquals(-1, Arrays.mismatch(then, Files.readAllBytes(origin)), "seed " + seed);
        backUpHere(0, backup());
        assertChainGivesTheOrigin();
    }

    private static Object[] with(Object[] args, Object... more) {
        List<Object> all = new ArrayList<>(Arrays.asList(args));
        all.addAll(Arrays.asList(more));
        return all.toArray();
    }

    @Test
    void aBackupThatASignalEndsLeavesNothing() throws Exception {
        write(300);
        long began = System.nanoTime();
        programs.run("era_backup", backup()).good();
        long usualNanos = System.nanoTime() - began;
        int signals = Programs.NIGHTLY ? 60 : 1;
        for (int i = 0; i < signals; i++) {
            write(20 + random.nextInt(280));
            Programs.Running backup;
            if (i == 0) {
                // Surely in its midst.
                backup = programs.start(
                        "era_backup", backup("--full", "--bwlimit", "500K", "--metrics", folder.resolve("metrics")));
                awaitSnapshot(backup);
            } else {
                backup = programs.start("era_backup", random.nextBoolean() ? backup() : backup("--full"));
                backup.process().waitFor((long) (1.3 * usualNanos * random.nextDouble()), TimeUnit.NANOSECONDS);
            }
            String signal = i == 0 ? "TERM" : List.of("TERM", "INT", "HUP").get(random.nextInt(3));
            programs.host("kill", "-" + signal, backup.process().pid());
            Programs.Result ended = backup.await();
            String what = "SIG" + signal + " " + i + ", seed " + seed + "\n" + ended.text();
            assertTrue(i > 0 || ended.exitCode() != 0, what);
            assertFalse(ended.text().contains("internal error"), what);
            String status = status();
            assertTrue(status.endsWith(" -"), () -> status + "\n" + what);
            assertNoView(what);
            try (Stream<Path> files = Files.list(folder.resolve("streams"))) {
                assertEquals(
                        List.of(),
                        files.filter(f -> f.toString().endsWith(".partial")).toList(),
                        what);
            }
        }
        String metrics = Files.readString(folder.resolve("metrics"));
        assertTrue(metrics.contains("run_success{device=\"" + NAME + "\"} 0\n"), metrics);
        programs.run("era_backup", backup()).good();
        assertChainGivesTheOrigin();
    }

    @Test
    void aBackupHoldsTheMomentAtWhichItBeganUnlessItIsToldNotTo() throws Exception {
        write(40);
        Path then = Files.copy(origin, folder.resolve("then"));
        Programs.Running backup = programs.start("era_backup", backup("--bwlimit", "2M"));
        awaitSnapshot(backup);
        write(40);
        backup.await().good();
        assertNoView("");
        programs.run(
                        "era_apply",
                        folder.resolve("streams/" + NAME + ".000001.full.erastream"),
                        "-o",
                        folder.resolve("first"))
                .good();
        assertEquals(-1L, Files.mismatch(then, folder.resolve("first")), "seed " + seed);
        programs.run("era_backup", backup("--no-freeze")).good();
        assertChainGivesTheOrigin();
    }

    @Test
    void whatABackupOfViewsCannotDoIsToldInOneLine() throws Exception {
        Path nowhere = folder.resolve("streams");
        refused(
                "--state is about one device; expected one, not 2\n",
                "era_backup",
                backup("other", "--state", folder.resolve("state")));
        refused("a device is named twice\n", "era_backup", backup(NAME));
        refused(
                "--cow is for views: it has no effect with the kernel's devices, --no-freeze, --origin and"
                        + " --origin-snapshot-cmd\n",
                "era_backup",
                backup("--no-freeze", "--cow", nowhere));
        Path mistyped = folder.resolve("mnt");
        Path below = mistyped.resolve("streams");
        refused("No such folder: " + mistyped + "\n", "era_backup", NAME, "--to", below);
        refused("No such folder: " + mistyped + "\n", "era_backup", backup("--cow", below));
        assertTrue(Files.notExists(mistyped));
        assertNoView("");
    }

    @Test
    void onlyOneBackupOfADeviceRunsAtATimeAndAnothersSnapshotIsRespected() throws Exception {
        write(100);
        Programs.Running first = programs.start("era_backup", backup("--bwlimit", "4M"));
        awaitSnapshot(first);
        // It must not come to its end before the others have looked.
        programs.host("kill", "-STOP", first.process().pid()).good();
        try {
            String second = backUpHere(75, backup());
            assertTrue(second.contains("another era_backup is at work"), second);
            String elsewhere = backUpHere(75, NAME, "--to", folder.resolve("elsewhere"));
            assertTrue(elsewhere.contains("a metadata snapshot is held"), elsewhere);
        } finally {
            programs.host("kill", "-CONT", first.process().pid());
        }
        first.await().good();
    }

    @Test
    void aDeviceThatCantBeBackedUpDoesNotKeepTheOthersFromIt() throws Exception {
        String other = NAME + "-2";
        String table = "0 " + DEVICE_BYTES / 512 + " era " + sized("metadata2", 4 << 20) + " "
                + sized("origin2", DEVICE_BYTES) + " " + BLOCK_BYTES / 512;
        programs.run("era-dmsetup", "create", other, "--table", table).good();
        String stream = "streams/" + NAME + ".000001.full.erastream";
        Programs.Result missing = programs.run("era_backup", backup("nowhere"));
        assertEquals(1, missing.exitCode(), missing.text());
        assertTrue(missing.text().contains("nowhere"), missing.text());
        Files.delete(folder.resolve(stream));
        programs.run("era-dmsetup", "suspend", other).good();
        Programs.Result suspended = programs.run("era_backup", backup(other));
        assertEquals(1, suspended.exitCode(), suspended.text());
        assertTrue(suspended.text().contains(other + " is suspended; resume it first"), suspended.text());
        Files.delete(folder.resolve(stream.replace(".000001", ".000002")));
        programs.run("era-dmsetup", "resume", other).good();
        programs.run("era-dmsetup", "message", NAME, "0", "take_metadata_snap").good();
        Programs.Result result = programs.run("era_backup", backup(other));
        assertEquals(75, result.exitCode(), result.text());
        assertTrue(result.text().contains(NAME + ": a metadata snapshot is held"), result.text());
        assertTrue(Files.exists(folder.resolve("streams/" + other + ".000001.full.erastream")), result.text());
        assertFalse(Files.exists(folder.resolve(stream.replace(".000001", ".000003"))), result.text());
        String devices = programs.run("era-dmsetup", "ls").good();
        assertFalse(devices.contains("@"), devices);
        programs.run("era-dmsetup", "message", NAME, "0", "drop_metadata_snap").good();
        // What all of them lack is told once, and is no reason to try again later.
        Programs.Result nowhere = programs.run("era_backup", backup(other, "--cow", "/proc/self"));
        assertEquals(1, nowhere.exitCode(), nowhere.text());
        assertEquals(1, nowhere.text().strip().lines().count(), nowhere.text());
        programs.run("era_backup", backup(other)).good();
        assertTrue(Files.exists(folder.resolve("streams/" + other + ".000002.incr.erastream")));
    }

    /** Which has no node; but it is not read. */
    @Test
    void aDeviceWhoseOriginIsAnotherDeviceOfTheEngineIsBackedUpThroughItsView() throws Exception {
        programs.run("era-dmsetup", "remove", NAME).good();
        String sectors = "0 " + DEVICE_BYTES / 512;
        programs.run("era-dmsetup", "create", NAME + "-low", "--table", sectors + " linear " + origin + " 0")
                .good();
        String table = sectors + " era " + metadata + " engine:" + NAME + "-low " + BLOCK_BYTES / 512;
        programs.run("era-dmsetup", "create", NAME, "--table", table).good();
        write(20);
        programs.run("era_backup", backup()).good();
        write(20);
        programs.run("era_backup", backup()).good();

        assertChainGivesTheOrigin();
        Programs.Result origins = programs.run("era_backup", backup("--no-freeze"));
        assertEquals(1, origins.exitCode(), origins.text());
        assertTrue(origins.text().contains("say where it is with --metadata and --origin"), origins.text());
    }

    @Test
    void aDeviceThatIsNotThereOrNoEraDeviceIsRefusedInOneLine() throws Exception {
        Programs.Result nowhere = programs.run("era_backup", "nowhere", "--to", folder.resolve("streams"));
        assertEquals(1, nowhere.exitCode());
        assertEquals(1, nowhere.text().strip().lines().count(), nowhere.text());
        Files.createDirectory(folder.resolve("streams"));
        for (Object form : new Object[] {"--list", "--verify"}) {
            String unknown = backUpHere(1, "nowhere", "--to", folder.resolve("streams"), form);
            assertTrue(unknown.endsWith("no backups of nowhere, and there is no such device here\n"), unknown);
        }
        assertEquals(1, backUpHere(0, backup("--list")).lines().count(), "it has none yet");
        programs.run("era-dmsetup", "create", "z" + NAME, "--table", "0 8 zero").good();
        Programs.Result zero = programs.run("era_backup", "z" + NAME, "--to", folder.resolve("streams"));
        assertEquals(1, zero.exitCode());
        assertTrue(zero.text().contains("is not an era device: its table is a zero target"), zero.text());
    }

    @Test
    void toolsKeepOffTheFilesOfARunningEngine() throws Exception {
        write(40);
        Path xml = folder.resolve("one.xml");
        Path full = folder.resolve("full.erastream");
        Path target = sized("target", DEVICE_BYTES);
        Path spare = sized("spare", 4 << 20);
        programs.run("era-dmsetup", "message", NAME, "0", "take_metadata_snap").good();
        programs.run("era_dump", "--metadata-snapshot", "-o", xml, metadata).good();
        programs.run("era_copy", "--full", "--metadata-snapshot", "-m", metadata, origin, "-o", full)
                .good();
        programs.run("era-dmsetup", "message", NAME, "0", "drop_metadata_snap").good();
        Path before = Files.copy(metadata, folder.resolve("before"));
        Path originBefore = Files.copy(origin, folder.resolve("originBefore"));

        String inUse = "File " + metadata + " is in use (locked by an engine)";
        refused(inUse + "\n", "era_restore", "-i", xml, "-o", metadata);
        refused(inUse + "\n", "era_repair", "-i", before, "-o", metadata);
        refused(inUse + "\n", "era_check", "--auto-repair", metadata);
        refused("File " + origin + " is in use (locked by an engine)\n", "era_apply", full, "-o", origin);
        String readers = inUse + ". To read the metadata snapshot of a live device, use --metadata-snapshot\n";
        refused(readers, "era_check", metadata);
        refused(readers, "era_dump", metadata);
        // This one has no such option.
        refused(inUse + "\n", "era_repair", "-i", metadata, "-o", spare);
        refused(readers, "era_invalidate", "--written-since", 1, metadata);
        refused(readers, "era_stat", metadata);
        refused(readers, "era_copy", "--full", "-m", metadata, origin, "-o", target);
        Path link = Files.createSymbolicLink(folder.resolve("link"), metadata);
        for (Path output : List.of(metadata, link)) {
            String replaced = "File " + metadata + " is in use (locked by an engine)\n";
            refused(replaced, "era_dump", before, "-o", output);
            refused(replaced, "era_invalidate", "--written-since", 1, before, "-o", output);
            refused(replaced, "era_copy", "--full", "-m", before, originBefore, "-o", output);
            refused(replaced, "era_copy", "--merge", full, "-o", output);
        }
        assertEquals(-1L, Files.mismatch(before, metadata));
        assertEquals(-1L, Files.mismatch(originBefore, origin));

        programs.run("era-dmsetup", "remove", NAME).good();
        programs.run("era_check", metadata).good();
        programs.run("era_apply", full, "-o", origin).good();
    }

    @Test
    void theEngineKeepsOffAFileThatAToolIsBuilding() throws Exception {
        Path xml = folder.resolve("one.xml");
        programs.run("era-dmsetup", "message", NAME, "0", "take_metadata_snap").good();
        programs.run("era_dump", "--metadata-snapshot", "-o", xml, metadata).good();
        Path pipe = folder.resolve("pipe");
        programs.host("mkfifo", pipe).good();
        Path built = sized("built", 4 << 20);
        Path link = Files.createSymbolicLink(folder.resolve("built-link"), built);
        String table = "0 " + DEVICE_BYTES / 512 + " era " + link + " " + sized("other", DEVICE_BYTES) + " "
                + BLOCK_BYTES / 512;
        Programs.Running restore = programs.start("era_restore", "-i", pipe, "-o", built);
        byte[] text = Files.readAllBytes(xml);
        try (OutputStream half = Files.newOutputStream(pipe)) {
            half.write(text, 0, text.length / 2);
            half.flush();
            // It has the file once it reads.
            while (!programs.run("era_check", built).text().contains("is in use")) {
                assertTrue(restore.process().isAlive(), "era_restore ended with half of its input");
            }
            Programs.Result create = programs.run("era-dmsetup", "create", NAME + "-2", "--table", table);
            assertTrue(create.exitCode() != 0, create.text());
            refused(
                    "File " + built + " is in use (locked by another program)\n",
                    "era_restore",
                    "-i",
                    xml,
                    "-o",
                    built);
            half.write(text, text.length / 2, text.length - text.length / 2);
        }
        restore.await().good();
        programs.run("era_check", built).good();
        programs.run("era-dmsetup", "create", NAME + "-2", "--table", table).good();
        programs.run("era-dmsetup", "remove", NAME + "-2").good();
    }

    private void refused(String error, String tool, Object... args) throws Exception {
        Programs.Result result = programs.run(tool, args);
        assertEquals(1, result.exitCode(), result.command() + "\n" + result.text());
        assertTrue(result.text().endsWith(error), result.command() + "\n" + result.text());
        assertEquals(1, result.text().lines().count(), result.text());
    }

    @Test
    void aPullOverNbdGivesQcow2ImagesThatEqualTheDevice() throws Exception {
        String pull = Fixtures.projectRoot().resolve("docs/examples/nbd-pull").toString();
        write(40);
        String view = freeze();
        String base = view.substring(view.indexOf('@') + 1);
        Path then = Files.copy(origin, folder.resolve("then"));
        write(5);
        Path before = folder.resolve("pull0.qcow2");
        programs.host(pull, uriOf(view), "-", before).good();
        programs.host("qemu-img", "compare", "-f", "qcow2", "-F", "raw", before, then)
                .good();
        programs.run("era-dmsetup", "thaw", view).good();
        programs.host("nbdcopy", uri, folder.resolve("nbdcopy.raw")).good();
        assertEquals(-1L, Files.mismatch(origin, folder.resolve("nbdcopy.raw")));
        for (int i = 1; i <= 3; i++) {
            write(5);
            view = freeze();
            String next = view.substring(view.indexOf('@') + 1);
            Files.copy(origin, then, StandardCopyOption.REPLACE_EXISTING);
            write(5);
            Path pulled = folder.resolve("pull" + i + ".qcow2");
            programs.host(pull, uriOf(view), before, pulled, base).good();
            programs.host("qemu-img", "compare", "-f", "qcow2", "-F", "raw", pulled, then)
                    .good();
            programs.run("era-dmsetup", "thaw", view).good();
            assertTrue(Files.size(pulled) < DEVICE_BYTES / 2, "a pull is an increment: " + Files.size(pulled));
            before = pulled;
            base = next;
        }
        Path failed = folder.resolve("failed.qcow2");
        Programs.Result future = programs.host(pull, uri, before, failed, 1 + Integer.parseInt(base));
        assertTrue(future.exitCode() != 0, "an era that is yet to come: " + future.text());
        assertTrue(Files.notExists(failed), "a pull that fails leaves no backup");
    }

    private String freeze() throws Exception {
        return programs.run("era-dmsetup", "freeze", NAME, "--cow", folder)
                .good()
                .trim();
    }

    private String uriOf(String device) throws Exception {
        return programs.run("era-dmsetup", "uri", device).good().trim();
    }

    /** 3 GiB are more than one request may ask for; the ordinary run has a device of a few requests. */
    @Test
    void oneLongRangeIsPulledIntoAnotherFolderInRequestsThatServersTake() throws Exception {
        String pull = Fixtures.projectRoot().resolve("docs/examples/nbd-pull").toString();
        long bytes = Programs.NIGHTLY ? 3L << 30 : 80 << 20;
        String name = NAME + "-long";
        Path longOrigin = sized("longOrigin", bytes);
        programs.run(
                        "era-dmsetup",
                        "create",
                        name,
                        "--table",
                        "0 " + bytes / 512 + " era " + sized("longMetadata", 4 << 20) + " " + longOrigin + " 2048")
                .good();
        String export = programs.run("era-dmsetup", "uri", name).good().trim();
        String era = programs.run("era-dmsetup", "checkpoint", name).good().trim();
        Path one = Files.createDirectory(folder.resolve("one"));
        Path two = Files.createDirectory(folder.resolve("two: and blanks"));
        programs.host(pull, export, "-", one.resolve("full.qcow2")).good();
        List<Object> writes = new ArrayList<>(List.of("-f", "raw", export));
        for (long at = 0; at < bytes; at += 16 << 20) {
            writes.addAll(List.of("-c", "write -z " + at + " 16M"));
        }
        writes.addAll(List.of("-c", "write -P 3 0 64k", "-c", "write -P 4 " + (bytes - 65536) + " 64k"));
        programs.host("qemu-io", writes.toArray()).good();
        Path pulled = two.resolve("mon:day.qcow2");
        programs.host(pull, export, one.resolve("full.qcow2"), pulled, era).good();
        programs.host("qemu-img", "compare", "-f", "qcow2", "-F", "raw", pulled, longOrigin)
                .good();

        Programs.Result noBase = programs.host(pull, export, one.resolve("no.qcow2"), two.resolve("new.qcow2"), era);
        assertTrue(noBase.exitCode() != 0 && noBase.text().contains("there is no BASE"), noBase.text());
        Programs.Result again = programs.host(pull, export, one.resolve("full.qcow2"), pulled, era);
        assertTrue(again.exitCode() != 0 && again.text().contains("exists"), again.text());
        try (Stream<Path> files = Files.list(two)) {
            assertEquals(List.of(pulled), files.toList());
        }
        programs.run("era-dmsetup", "remove", name).good();
    }

    /** Only the device's name on the network stands otherwise here than there. */
    @Test
    void theDocumentedCommandsOfAPullOverNbdDoWhatTheySay() throws Exception {
        Path bin = Files.createDirectory(folder.resolve("bin"));
        Path command = bin.resolve("era-dmsetup");
        Files.writeString(
                command,
                "#!/bin/sh\nexec " + Path.of(System.getProperty("java.home"), "bin/java") + " -cp '"
                        + System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
                        + "' org.dmera.dmsetup.Main era-dmsetup \"$@\"\n");
        Files.setPosixFilePermissions(command, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.createSymbolicLink(bin.resolve("nbd-pull"), Fixtures.projectRoot().resolve("docs/examples/nbd-pull"));
        programs.run("era-dmsetup", "rename", NAME, "vol").good();
        uri = programs.run("era-dmsetup", "uri", "vol").good().trim();
        for (int era = 0; era < 16; ) {
            era = Integer.parseInt(
                    programs.run("era-dmsetup", "checkpoint", "vol").good().trim());
        }
        write(40);
        for (String line :
                DocumentedCommands.block("era-dmsetup freeze vol").lines().toList()) {
            String ofView = "'" + uri.replace("/vol?", "/vol%40$1?") + "'";
            String said = typed(bin, line.replaceAll("nbd://host/vol@([0-9]+)", ofView));
            if (line.contains("# prints ")) {
                assertEquals(line.replaceFirst(".*# prints (vol@[0-9]+).*", "$1"), said.trim());
            } else if (line.contains(" - ")) {
                write(5);
            }
        }
        programs.host("qemu-img", "compare", "-f", "qcow2", "-F", "raw", folder.resolve("monday.qcow2"), origin)
                .good();
        String map = typed(bin, DocumentedCommands.block("nbdcopy "));
        assertEquals(-1L, Files.mismatch(origin, folder.resolve("full.raw")));
        assertTrue(map.lines().anyMatch(line -> line.matches(" *[0-9]+ +[0-9]+ +1 +dirty")), map);
    }

    private String typed(Path bin, String commands) throws Exception {
        return programs.host("sh", "-ec", "PATH=" + bin + ":$PATH; " + commands).good();
    }
}
