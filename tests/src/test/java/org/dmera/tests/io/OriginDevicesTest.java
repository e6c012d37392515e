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
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.backup.BackupCommand;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.FileBackings;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.Target;
import org.dmera.testkit.Alone;
import org.dmera.testkit.Fixtures;
import org.dmera.tools.Commands;
import org.dmera.tools.cli.Command;
import org.dmera.tools.cli.CommandLine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What block devices and file systems beneath a target refuse, and what becomes of that. */
@Timeout(300)
@Alone
class OriginDevicesTest {
    private static final int BLOCK = 4096;
    private static final int MIB = 1 << 20;

    @TempDir
    private Path folder;

    private final Deque<String[]> undo = new ArrayDeque<>();

    @BeforeEach
    void needRoot() {
        Host.needAttach();
        Host.need("losetup", "mount", "umount", "mkfs.ext4", "truncate");
    }

    @AfterEach
    void takeDown() throws IOException, InterruptedException {
        while (!undo.isEmpty()) {
            run(undo.pop());
        }
    }

    private String run(String... command) throws IOException, InterruptedException {
        return Host.run(folder, command).good().strip();
    }

    /** A loop device of that many bytes over {@code file}, which is made where it is missing. */
    private String loop(Path file, int bytes, int blockBytes) throws IOException, InterruptedException {
        run("truncate", "-s", Integer.toString(bytes), file.toString());
        String node =
                run("losetup", "--find", "--show", "--sector-size", Integer.toString(blockBytes), file.toString());
        undo.push(new String[] {"losetup", "-d", node});
        return node;
    }

    private static void fill(Backing backing, int bytes) throws IOException {
        ByteBuffer ones = ByteBuffer.allocate(bytes);
        Arrays.fill(ones.array(), (byte) 1);
        backing.write(0, ones, 0);
        backing.flush();
    }

    private static long allocatedBytes(Path file) throws IOException, InterruptedException {
        return Long.parseLong(Host.run(file.getParent(), "stat", "-c", "%b", file.toString())
                        .good()
                        .strip())
                * 512;
    }

    private static void assertOnesBut(Backing backing, int bytes, int zeroFrom, int zeroTo) throws IOException {
        byte[] expected = new byte[bytes];
        Arrays.fill(expected, (byte) 1);
        Arrays.fill(expected, zeroFrom, zeroTo, (byte) 0);
        ByteBuffer found = ByteBuffer.allocate(bytes);
        backing.read(0, found);
        assertArrayEquals(expected, found.array());
    }

    @Test
    void zeroesThatAreNotWholeBlocksOfTheDeviceArePunchedInTheMiddleAndWrittenAtTheEdges() throws Exception {
        Path file = folder.resolve("disk");
        try (Backing device = new FileBackings().open(loop(file, MIB, BLOCK), true)) {
            fill(device, MIB);
            long full = allocatedBytes(file);
            device.submit(Operation.WRITE_ZEROES, BLOCK + 512, 32L * BLOCK, null, Target.FAST_ZERO);
            device.flush();
            assertOnesBut(device, MIB, BLOCK + 512, 33 * BLOCK + 512);
            long left = allocatedBytes(file);
            assertTrue(left <= full - 31 * BLOCK, left + " of " + full + " bytes are still allocated");
            device.submit(Operation.WRITE_ZEROES, 512, 1024, null, Target.NO_HOLE);
            device.submit(Operation.WRITE_ZEROES, 64 * BLOCK + 512, 32L * BLOCK, null, Target.NO_HOLE | Target.FUA);
            assertEquals(left, allocatedBytes(file));
        }
    }

    @Test
    void aDiscardThatIsNotWholeBlocksLeavesTheEdgesAndSpoilsNoLaterOne() throws Exception {
        Path file = folder.resolve("disk");
        try (Backing device = new FileBackings().open(loop(file, MIB, BLOCK), true)) {
            fill(device, MIB);
            long full = allocatedBytes(file);
            device.submit(Operation.DISCARD, 512, 1024, null, 0);
            device.submit(Operation.DISCARD, BLOCK - 512, 2L * BLOCK, null, 0);
            device.flush();
            assertOnesBut(device, MIB, BLOCK, 2 * BLOCK);
            device.submit(Operation.DISCARD, 32 * BLOCK, 64L * BLOCK, null, Target.FUA);
            long left = allocatedBytes(file);
            assertTrue(left <= full - 65 * BLOCK, left + " of " + full + " bytes are still allocated");
        }
    }

    @Test
    void aFlushThatFindsNoSpaceIsAnInputOutputErrorAsWithALoopDevice() throws Exception {
        Path small = mount("small", "-t", "tmpfs", "-o", "size=6m", "none");
        Path image = small.resolve("image");
        run("truncate", "-s", "64M", image.toString());
        run("mkfs.ext4", "-q", "-O", "^has_journal", image.toString());
        Path thin = mount("thin", "-t", "ext4", loop(image, 64 * MIB, 512));
        Path file = thin.resolve("file");
        run("truncate", "-s", "32M", file.toString());
        try (Backing backing = new FileBackings().open(file.toString(), true)) {
            // ext4 has the space, and what is beneath it has not; that comes to light when the page cache is written
            // out.
            backing.write(0, ByteBuffer.allocateDirect(12 * MIB), 0);
            IOException e = assertThrows(IOException.class, backing::flush);
            assertFalse(e instanceof ErrnoException, "clients would flush again, and believe it: " + e);
        }
    }

    @Test
    void aFullStateFolderIsToldAsSuchAndANewDeviceLeavesNothingThere() throws Exception {
        Path state = mount("state", "-t", "tmpfs", "-o", "size=16k,mode=0700", "none");
        try (TestEngine engine = new TestEngine(folder)) {
            Host.run(folder, "dd", "if=/dev/zero", "of=" + state.resolve("fill"), "bs=4k");
            ErrnoException e = assertThrows(ErrnoException.class, () -> engine.create("vol", "8 zero"));
            assertTrue(e.is(Errno.ENOSPC), e.toString());
            Files.delete(state.resolve("fill"));
            engine.create("vol", "8 zero");
        }
        try (var files = Files.list(state)) {
            assertEquals(
                    List.of("0.device", "lock"),
                    files.map(file -> file.getFileName().toString()).sorted().toList());
        }
    }

    private Path mount(String name, String... words) throws IOException, InterruptedException {
        Path point = Files.createDirectory(folder.resolve(name));
        String[] command = new String[words.length + 2];
        command[0] = "mount";
        System.arraycopy(words, 0, command, 1, words.length);
        command[words.length + 1] = point.toString();
        run(command);
        undo.push(new String[] {"umount", point.toString()});
        return point;
    }

    /** An era device on a loop device, the page cache of whose node is above what a snapshot or a power cut finds. */
    private final class CachedStack implements AutoCloseable {
        final Path beneath = folder.resolve("beneath");
        final TestEngine engine = new TestEngine(folder);
        final MappedDevice device;
        private final Random random = new Random(21);
        private final byte[] acknowledged = new byte[16 * MIB];
        /** How often something of what was acknowledged was in the page cache alone. */
        int cached;

        CachedStack() throws IOException, InterruptedException {
            String node = loop(beneath, acknowledged.length, 512);
            device = engine.create(
                    "vol", acknowledged.length / 512 + " era " + engine.file("meta", 8 << 20) + " " + node + " 8");
        }

        /** Has some blocks written and acknowledged, and nothing flushed. */
        void write() throws IOException {
            try (WireClient client = WireClient.open(folder.resolve("nbd"), "vol")) {
                for (int i = 0; i < 20; i++) {
                    int at = BLOCK * random.nextInt(acknowledged.length / BLOCK);
                    byte[] data = new byte[BLOCK];
                    random.nextBytes(data);
                    assertEquals(0, client.write(at, data));
                    System.arraycopy(data, 0, acknowledged, at, BLOCK);
                }
            }
            cached += Arrays.equals(acknowledged, Files.readAllBytes(beneath)) ? 0 : 1;
        }

        void assertAllBeneath(String after) throws IOException {
            assertEquals(-1, Arrays.mismatch(acknowledged, Files.readAllBytes(beneath)), "after " + after);
        }

        @Override
        public void close() throws IOException {
            engine.close();
        }
    }

    @Test
    void whatWasAcknowledgedBeforeAVerbLiesBeneathThePageCacheAfterIt() throws Exception {
        try (CachedStack stack = new CachedStack()) {
            for (int round = 0; round < 3; round++) {
                stack.write();
                TestEngine.checkpoint(stack.device);
                stack.assertAllBeneath("checkpoint");
                stack.write();
                stack.device.message(0, List.of("take_metadata_snap"));
                stack.assertAllBeneath("take_metadata_snap");
                stack.device.message(0, List.of("drop_metadata_snap"));
                stack.write();
                stack.device.suspend();
                stack.assertAllBeneath("suspend");
                stack.device.resume();
            }
            assertTrue(stack.cached > 0, "nothing was ever in the page cache alone");
        }
    }

    @Test
    void backupsFromASnapshotOfWhatLiesBeneathHoldWhatWasAcknowledged() throws Exception {
        Path snapshot = folder.resolve("snapshot");
        String hook = "case $ERA_BACKUP_ACTION in create) cp " + folder.resolve("beneath") + " " + snapshot
                + " && echo " + snapshot + ";; *) rm -f " + snapshot + ";; esac";
        try (CachedStack stack = new CachedStack()) {
            Path streams = folder.resolve("streams");
            List<String> apply = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                stack.write();
                program(
                        new BackupCommand(),
                        "--control",
                        folder.resolve("control").toString(),
                        "vol",
                        "--to",
                        streams.toString(),
                        "--origin-snapshot-cmd",
                        hook);
            }
            try (Stream<Path> files = Files.list(streams)) {
                files.map(Path::toString)
                        .filter(name -> name.endsWith(".erastream"))
                        .sorted()
                        .forEach(apply::add);
            }
            Path target = folder.resolve("target");
            apply.addAll(List.of("-o", target.toString()));
            program(Commands.find("era_apply"), apply.toArray(String[]::new));
            assertEquals(-1, Arrays.mismatch(stack.acknowledged, Files.readAllBytes(target)));
            assertTrue(stack.cached > 0, "nothing was ever in the page cache alone");
        }
    }

    @Test
    void whatIsPulledOverNbdAfterACheckpointIsWhatLiesBeneath() throws Exception {
        Host.need("qemu-img", "qemu-io", "nbdinfo");
        String pull = Fixtures.projectRoot().resolve("docs/examples/nbd-pull").toString();
        try (CachedStack stack = new CachedStack()) {
            String uri = stack.engine.uri("vol");
            stack.write();
            TestEngine.checkpoint(stack.device);
            long era = stack.device.io().currentEra();
            stack.assertAllBeneath("checkpoint");
            run(pull, uri, "-", "full.qcow2");
            stack.write();
            TestEngine.checkpoint(stack.device);
            stack.assertAllBeneath("checkpoint");
            run(pull, uri, "full.qcow2", "next.qcow2", Long.toString(era));
            run("qemu-img", "convert", "-O", "raw", "next.qcow2", "raw");
            assertEquals(-1, Files.mismatch(stack.beneath, folder.resolve("raw")));
        }
    }

    private static void program(Command command, String... words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        PrintStream err = new PrintStream(out, true, StandardCharsets.UTF_8);
        int code = CommandLine.run(command, words, InputStream.nullInputStream(), out, err);
        assertEquals(0, code, out.toString(StandardCharsets.UTF_8));
    }
}
