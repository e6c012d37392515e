// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.HostAttacher;
import org.dmera.dmsetup.export.Served;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A device as a node of the host: file systems on it, and what the metadata then says of them. */
@Timeout(600)
@Alone
class AttachedDeviceTest {
    private static final int MIB = 128;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;

    @TempDir
    private Path folder;

    private TestEngine engine;
    private HostAttacher attacher;
    private MappedDevice device;
    private Path mountPoint;

    @BeforeEach
    void start() throws IOException {
        Host.needAttach();
        Host.need("mkfs.ext4", "e2fsck", "mount", "umount", "fstrim", "fio", "cp");
        TestLinks.clean();
        engine = new TestEngine(folder);
        attacher = new HostAttacher(
                folder.resolve("attached"), folder.resolve("nbd"), name -> name, new Served(), EngineLog.silent());
        device = engine.createEra(TestLinks.name("io-test"), MIB);
        mountPoint = Files.createDirectory(folder.resolve("mnt"));
    }

    @AfterEach
    void stop() throws IOException, InterruptedException {
        if (engine == null) {
            return;
        }
        try {
            for (MappedDevice each : engine.engine.registry().devices()) {
                // A test that failed half-way left it so, and its node can't go while it is.
                if (each.isSuspended()) {
                    each.resume();
                }
            }
            Host.run(folder, "umount", mountPoint.toString());
            attacher.close();
            engine.close();
        } finally {
            TestLinks.clean();
        }
    }

    private Host.Result run(String... command) throws IOException, InterruptedException {
        return Host.run(folder, command);
    }

    private Path data() {
        return folder.resolve(device.name() + ".data");
    }

    @Test
    void theRecordOfAFileSystemCoversWhatChangedAndLittleMore() throws Exception {
        String node = attacher.attach(device);
        // The kernel would zero the rest of the inode tables later, at some time or another.
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", node)
                .good();
        run("mount", node, mountPoint.toString()).good();
        Path sources = Fixtures.projectRoot().resolve("era-core/src");
        run("cp", "-a", sources.toString(), mountPoint + "/tree").good();
        run("umount", mountPoint.toString()).good();
        run("e2fsck", "-fn", node).good();

        TestEngine.checkpoint(device);
        long since = Integer.toUnsignedLong(TestEngine.era(device).currentEra());
        Path before = folder.resolve("before.img");
        Files.copy(data(), before);

        run("mount", node, mountPoint.toString()).good();
        assertEquals(
                "", run("diff", "-r", sources.toString(), mountPoint + "/tree").good());
        run("cp", "-a", mountPoint + "/tree/main", mountPoint + "/again").good();
        run("rm", "-r", mountPoint + "/tree/test").good();
        Files.writeString(mountPoint.resolve("tree/main/new"), "new");
        run("umount", mountPoint.toString()).good();
        run("e2fsck", "-fn", node).good();

        device.message(0, List.of("take_metadata_snap"));
        BitSet recorded = invalidate(since);
        BitSet changed = changedBlocks(before, data());
        BitSet missed = (BitSet) changed.clone();
        missed.andNot(recorded);
        assertTrue(missed.isEmpty(), () -> "changed, but not recorded: " + missed);
        assertTrue(changed.cardinality() > 50, () -> "only " + changed.cardinality() + " blocks changed");
        // ext4 writes some blocks again as they were (the journal's superblock, bitmaps): a few, not many.
        assertTrue(
                recorded.cardinality() <= changed.cardinality() * 5 / 4 + 64,
                () -> recorded.cardinality() + " recorded, " + changed.cardinality() + " changed");
    }

    private BitSet invalidate(long since) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        String metadata = folder.resolve(device.name() + ".meta").toString();
        int code = CommandLine.run(
                Commands.find("era_invalidate"),
                new String[] {"--metadata-snapshot", "--written-since", Long.toString(since), metadata},
                InputStream.nullInputStream(),
                out,
                new PrintStream(err, true, StandardCharsets.UTF_8));
        assertEquals(0, code, err.toString(StandardCharsets.UTF_8));
        BitSet blocks = new BitSet();
        Matcher m = Pattern.compile("block=\"(\\d+)\"|begin=\"(\\d+)\" end ?= ?\"(\\d+)\"")
                .matcher(out.toString(StandardCharsets.UTF_8));
        while (m.find()) {
            if (m.group(1) != null) {
                blocks.set(Integer.parseInt(m.group(1)));
            } else {
                blocks.set(Integer.parseInt(m.group(2)), Integer.parseInt(m.group(3)));
            }
        }
        return blocks;
    }

    private static BitSet changedBlocks(Path before, Path after) throws IOException {
        BitSet changed = new BitSet();
        byte[] a = new byte[BLOCK];
        byte[] b = new byte[BLOCK];
        try (RandomAccessFile left = new RandomAccessFile(before.toFile(), "r");
                RandomAccessFile right = new RandomAccessFile(after.toFile(), "r")) {
            for (int block = 0; block < left.length() / BLOCK; block++) {
                left.readFully(a);
                right.readFully(b);
                changed.set(block, !Arrays.equals(a, b));
            }
        }
        return changed;
    }

    @Test
    void aMountedDeviceCannotBeDetachedAndAFreeOneLeavesNothing() throws Exception {
        String node = attacher.attach(device);
        assertEquals(node, attacher.attach(device), "attaching twice is attaching once");
        Path link = link();
        assertEquals(node, Files.readSymbolicLink(link).toString());
        run("mkfs.ext4", "-q", "-F", node).good();
        run("mount", node, mountPoint.toString()).good();
        ErrnoException e = assertThrows(ErrnoException.class, () -> attacher.detach(device));
        assertTrue(e.is(Errno.EBUSY), e.toString());
        Files.writeString(mountPoint.resolve("file"), "still works");
        run("umount", mountPoint.toString()).good();
        attacher.detach(device);
        assertFalse(Files.isSymbolicLink(link));
        assertFalse(Files.readString(Path.of("/proc/mounts")).contains(folder.toString()));
        assertEquals(0, device.openCount());
        attacher.detach(device);
    }

    @Test
    void whatAKilledEngineLeftIsTakenAwayByTheNext() throws Exception {
        attacher.attach(device);
        Path link = link();
        assertTrue(Files.isSymbolicLink(link));
        // One that knows nothing of the first, as after a kill.
        HostAttacher next = new HostAttacher(
                folder.resolve("attached"), folder.resolve("nbd"), name -> name, new Served(), EngineLog.silent());
        assertFalse(Files.isSymbolicLink(link), "a link to a node that may be another's by now");
        assertFalse(Files.readString(Path.of("/proc/mounts")).contains(folder.toString()));
        next.close();
    }

    @Test
    void theNoteOfAUblkDeviceThatIsNoMoreHindersNobody() throws Exception {
        attacher.attach(device);
        attacher.detach(device);
        Files.writeString(
                folder.resolve("attached/ublk-999999"),
                "%016x started %d %s%n".formatted(1, device.minor(), device.id()));
        HostAttacher next = new HostAttacher(
                folder.resolve("attached"), folder.resolve("nbd"), name -> name, new Served(), EngineLog.silent());
        next.removing(device);
        assertTrue(Files.exists(Path.of(next.attach(device))));
        assertTrue(next.detach(device));
        next.close();
    }

    @Test
    void whatWasWrittenToTheNodeAndNotFlushedIsOnTheOriginOnceItIsDetached() throws Exception {
        byte[] noise = noise(8 << 20);
        String node = attacher.attach(device);
        write(node, noise);
        attacher.detach(device);
        assertArrayEquals(noise, Arrays.copyOf(Files.readAllBytes(data()), noise.length));
    }

    @Test
    void whatIsWrittenToTheNodeAfterTheFirstPartOfARemovalIsOnTheOriginAfterTheSecond() throws Exception {
        byte[] noise = noise(8 << 20);
        String node = attacher.attach(device);
        attacher.beforeRemoval(device);
        write(node, noise);
        attacher.removing(device);
        assertArrayEquals(noise, Arrays.copyOf(Files.readAllBytes(data()), noise.length));
    }

    @Test
    void whatAMountedFileSystemHadNotWrittenYetIsOnTheOriginWhenTheEngineStops() throws Exception {
        String node = attacher.attach(device);
        run("mkfs.ext4", "-q", "-F", "-b", "4096", node).good();
        run("mount", node, mountPoint.toString()).good();
        byte[] noise = noise(1 << 20);
        Files.write(mountPoint.resolve("noise"), noise);
        attacher.close();
        run("umount", mountPoint.toString()).good();
        // Where the file system put them is its own business.
        byte[] found = Files.readAllBytes(data());
        for (int block = 0; block < noise.length; block += 4096) {
            int at = 0;
            while (at < found.length && !Arrays.equals(found, at, at + 4096, noise, block, block + 4096)) {
                at += 4096;
            }
            assertTrue(at < found.length, "block " + block / 4096 + " of the file is not on the origin");
        }
    }

    @Test
    void aSuspendedDeviceKeepsItsNodeBecauseOfWhatWasWrittenToIt() throws Exception {
        byte[] noise = noise(1 << 20);
        String node = attacher.attach(device);
        write(node, noise);
        device.suspend();
        ErrnoException e = assertThrows(ErrnoException.class, () -> attacher.detach(device));
        assertTrue(e.is(Errno.EBUSY), e.toString());
        device.resume();
        attacher.detach(device);
        assertArrayEquals(noise, Arrays.copyOf(Files.readAllBytes(data()), noise.length));
    }

    @Test
    void aNodeThatWaitsForASuspendedDeviceBeneathHoldsUpNoOther() throws Exception {
        MappedDevice upper =
                engine.create(device.name() + "-upper", (long) MIB * 2048 + " linear engine:" + device.name() + " 0");
        byte[] noise = noise(1 << 20);
        String node = attacher.attach(upper);
        device.suspend();
        CompletableFuture<Boolean> detached = new CompletableFuture<>();
        try {
            write(node, noise);
            inThread(detached, () -> attacher.detach(upper));
            awaitThat(() -> isSyncing(upper));

            CompletableFuture<Boolean> others = new CompletableFuture<>();
            inThread(others, () -> {
                MappedDevice other = engine.createEra(device.name() + "-other", 8);
                attacher.attach(other);
                attacher.tableChanged(other);
                return attacher.detach(other) && engine.engine.registry().remove(other, false);
            });
            assertTrue(others.get(240, TimeUnit.SECONDS));
            assertFalse(detached.isDone());

        } finally {
            // Else what waits for it could not end either.
            device.resume();
        }
        assertTrue(detached.get(240, TimeUnit.SECONDS));
        assertArrayEquals(noise, Arrays.copyOf(Files.readAllBytes(data()), noise.length));
    }

    private static <T> void inThread(CompletableFuture<T> result, Callable<T> action) {
        Thread thread = new Thread(() -> {
            try {
                result.complete(action.call());
            } catch (Throwable t) {
                result.completeExceptionally(t);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    /** Whether the page cache of a device's node is being written out. */
    private static boolean isSyncing(MappedDevice device) {
        return Thread.getAllStackTraces().entrySet().stream()
                .filter(thread -> thread.getKey().getName().equals("keeper of device-" + device.minor()))
                .flatMap(thread -> Arrays.stream(thread.getValue()))
                .anyMatch(frame -> frame.getMethodName().equals("sync"));
    }

    @Test
    void theLinkOfAnotherEnginesDeviceOfTheSameNameStays() throws Exception {
        String node = attacher.attach(device);
        TestEngine other = new TestEngine(Files.createDirectory(folder.resolve("other")));
        HostAttacher others = new HostAttacher(
                folder.resolve("other/attached"),
                folder.resolve("other/nbd"),
                name -> name,
                new Served(),
                EngineLog.silent());
        MappedDevice sameName = other.createEra(device.name(), MIB);
        ErrnoException e = assertThrows(ErrnoException.class, () -> others.attach(sameName));
        assertTrue(e.is(Errno.EEXIST), e.toString());
        assertEquals(node, Files.readSymbolicLink(link()).toString());
        assertFalse(others.detach(sameName));
        assertEquals(node, Files.readSymbolicLink(link()).toString());
        others.close();
        other.close();
    }

    @Test
    void anAnswerToAConnectionThatWasCutGoesToNoFileThatWasOpenedSince() throws Exception {
        Path control = Path.of("/sys/fs/fuse/connections");
        if (!control.toFile().exists() || control.toFile().list().length == 0) {
            run("mount", "-t", "fusectl", "none", control.toString());
        }
        Path lowFile = engine.file("low", 8 << 20);
        MappedDevice low = engine.create(device.name() + "-low", (8 << 20) / 512 + " linear " + lowFile + " 0");
        MappedDevice top = engine.create(
                device.name() + "-top", "32768 era engine:" + low.name() + " " + engine.file("top", 16 << 20) + " 8");
        String node = attacher.attach(top);
        low.suspend();
        Process writer = new ProcessBuilder("dd", "if=/dev/zero", "of=" + node, "bs=4k", "count=1", "oflag=direct")
                .redirectErrorStream(true)
                .start();
        Path fuse = folder.resolve("attached").resolve("device-" + top.minor());
        Path connection =
                control.resolve(run("stat", "-c", "%d", fuse.toString()).good().strip());
        awaitThat(() -> !Files.readString(connection.resolve("waiting")).equals("0\n"));
        Files.writeString(connection.resolve("abort"), "1");
        assertTrue(writer.waitFor(240, TimeUnit.SECONDS));
        awaitThat(() -> Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().startsWith("fuse-" + fuse.getFileName())));
        // Whoever opens files gets the lowest numbers that are free.
        try (RandomAccessFile a = new RandomAccessFile(folder.resolve("a").toFile(), "rw");
                RandomAccessFile b = new RandomAccessFile(folder.resolve("b").toFile(), "rw")) {
            low.resume();
            awaitThat(() -> fuseDescriptors() == 0);
            top.suspend();
            top.resume();
            assertEquals(0, a.length());
            assertEquals(0, b.length());
        }
        ErrnoException e = assertThrows(ErrnoException.class, () -> attacher.detach(top));
        assertTrue(e.is(Errno.EIO), "the node's page cache can't be written out any more: " + e);
        attacher.detach(top);
    }

    private interface Condition {
        boolean holds() throws IOException;
    }

    private static void awaitThat(Condition condition) throws IOException {
        while (!condition.holds()) {
            Thread.onSpinWait();
        }
    }

    /** How many descriptors of {@code /dev/fuse} this process has. */
    private static int fuseDescriptors() throws IOException {
        int count = 0;
        try (var open = Files.list(Path.of("/proc/self/fd"))) {
            for (Path fd : (Iterable<Path>) open::iterator) {
                try {
                    count += Files.readSymbolicLink(fd).toString().equals("/dev/fuse") ? 1 : 0;
                } catch (NoSuchFileException e) {
                    // Closed since it was listed.
                }
            }
        }
        return count;
    }

    private Path link() {
        Path link = Path.of("/dev/mapper", device.name());
        return Files.isSymbolicLink(link) ? link : Path.of("/dev/era", device.name());
    }

    private static byte[] noise(int bytes) {
        byte[] noise = new byte[bytes];
        new java.util.Random(7).nextBytes(noise);
        return noise;
    }

    /** Through the page cache, without a flush. */
    private static void write(String node, byte[] content) throws IOException {
        try (FileChannel channel = FileChannel.open(Path.of(node), StandardOpenOption.WRITE)) {
            ByteBuffer left = ByteBuffer.wrap(content);
            while (left.hasRemaining()) {
                channel.write(left);
            }
        }
    }

    @Test
    void discardsReachTheOrigin() throws Exception {
        String node = attacher.attach(device);
        run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", node).good();
        run("mount", node, mountPoint.toString()).good();
        byte[] noise = noise(32 << 20);
        Files.write(mountPoint.resolve("noise"), noise);
        run("sync", "-f", mountPoint.toString()).good();
        long full = allocatedBytes();
        assertTrue(full > noise.length);
        Files.delete(mountPoint.resolve("noise"));
        run("sync", "-f", mountPoint.toString()).good();
        run("fstrim", mountPoint.toString()).good();
        run("umount", mountPoint.toString()).good();
        assertTrue(allocatedBytes() < full - noise.length / 2, () -> "allocated before " + full);
    }

    private long allocatedBytes() {
        try {
            return Long.parseLong(
                            run("stat", "-c", "%b", data().toString()).good().strip())
                    * 512;
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void fioVerifiesItsWritesAtDepthAndEveryBlockIsMarked() throws Exception {
        String node = attacher.attach(device);
        for (String shape : List.of("randwrite 4k 32", "randwrite 64k 16", "write 1m 8")) {
            List<String> w = List.of(shape.split(" ", 3));
            run(
                            "fio",
                            "--name=verify",
                            "--ioengine=libaio",
                            "--direct=1",
                            "--filename=" + node,
                            "--rw=" + w.get(0),
                            "--bs=" + w.get(1),
                            "--iodepth=" + w.get(2),
                            "--size=32m",
                            "--verify=crc32c",
                            "--verify_fatal=1",
                            "--verify_state_save=0",
                            "--fsync=500")
                    .good();
            TestEngine.checkpoint(device);
        }
        long[] eras = TestEngine.eras(device);
        for (int block = 0; block < (32 << 20) / BLOCK; block++) {
            assertEquals(3, eras[block], "block " + block);
        }
    }

    @Test
    void aSuspendedDeviceHoldsItsNodesWritesUntilItIsResumed() throws Exception {
        String node = attacher.attach(device);
        device.suspend();
        Process writer = new ProcessBuilder("dd", "if=/dev/zero", "of=" + node, "bs=4k", "count=1", "oflag=direct")
                .redirectErrorStream(true)
                .start();
        assertFalse(writer.waitFor(300, TimeUnit.MILLISECONDS));
        device.resume();
        assertTrue(writer.waitFor(240, TimeUnit.SECONDS));
        assertEquals(0, writer.exitValue());
        assertEquals(2, TestEngine.eras(device)[0]);
    }

    @Test
    void theNodeGrowsWithTheTable() throws Exception {
        String node = attacher.attach(device);
        long bytes = 2L * MIB << 20;
        try (RandomAccessFile raw = new RandomAccessFile(data().toFile(), "rw")) {
            raw.setLength(bytes);
        }
        Path meta = folder.resolve(device.name() + ".meta");
        device.suspend();
        Path bigger = engine.file("bigger.data", bytes);
        device.load(TestEngine.specs(bytes / 512 + " era " + meta + " " + bigger + " 8"), false);
        device.resume();
        attacher.tableChanged(device);
        assertEquals(
                Long.toString(bytes),
                run("blockdev", "--getsize64", node).good().strip());
        byte[] last = new byte[BLOCK];
        Arrays.fill(last, (byte) 7);
        try (RandomAccessFile raw = new RandomAccessFile(node, "rw")) {
            raw.seek(bytes - BLOCK);
            raw.write(last);
            raw.getFD().sync();
        }
        byte[] found = new byte[BLOCK];
        try (RandomAccessFile raw = new RandomAccessFile(bigger.toFile(), "r")) {
            raw.seek(bytes - BLOCK);
            raw.readFully(found);
        }
        assertArrayEquals(last, found);
    }

    @Test
    void theNodeCanBeWrittenOnlyWhileTheTableCan() throws Exception {
        String table =
                device.io().sizeBytes() / 512 + " era " + folder.resolve(device.name() + ".meta") + " " + data() + " 8";
        attacher.attach(device);
        for (boolean readOnly : new boolean[] {true, false}) {
            device.load(TestEngine.specs(table), readOnly);
            device.resume();
            attacher.tableChanged(device);
            assertEquals(
                    readOnly ? "1" : "0",
                    run("blockdev", "--getro", link().toString()).good().strip());
        }
        String node = Files.readSymbolicLink(link()).toString();
        run("mkfs.ext4", "-q", "-F", node).good();
        run("mount", node, mountPoint.toString()).good();
        device.load(TestEngine.specs(table), true);
        device.resume();
        attacher.tableChanged(device);
        assertEquals(node, Files.readSymbolicLink(link()).toString(), "what is mounted keeps its node");
    }
}
