// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.backup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.dmera.testkit.Alone;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.stream.StreamFooter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Origins and targets that are block devices, and what a copy leaves of the page cache. */
@Timeout(300)
@Alone
class BlockDevicesTest {
    private static final int BYTES = 24 << 20;

    @TempDir
    private Path folder;

    private final Random random = new Random(21);
    private final List<String> loops = new ArrayList<>();
    private Programs programs;
    private TrackedImage image;

    @BeforeEach
    void start() throws Exception {
        Programs.needRootAnd("losetup", "mkfs.ext4", "mount", "umount", "dd", "fincore");
        programs = new Programs(folder, Map.of());
        image = new TrackedImage(folder, BYTES);
        image.scribble(random, 100);
        image.catchUp();
        image.checkpoint();
    }

    @AfterEach
    void stop() throws Exception {
        if (image != null) {
            image.close();
        }
        for (String loop : loops) {
            programs.host("losetup", "-d", loop);
        }
    }

    private Path loop(Path file) throws Exception {
        return loop(file, Files.size(file));
    }

    private Path loop(Path file, long bytes) throws Exception {
        String loop = programs.host("losetup", "-f", "--show", "--sizelimit", bytes, file)
                .good()
                .trim();
        loops.add(loop);
        return Path.of(loop);
    }

    private Path noise(String name, int bytes) throws IOException {
        byte[] noise = new byte[bytes];
        random.nextBytes(noise);
        return Files.write(folder.resolve(name), noise);
    }

    private Path copy(Path origin, String name, Object... what) {
        Path stream = folder.resolve(name);
        List<Object> args = new ArrayList<>(List.of(what));
        args.addAll(List.of("-m", image.metadata, origin, "-o", stream));
        InProcess.run("era_copy", args.toArray());
        return stream;
    }

    @Test
    void aDeviceIsCopiedOntoALargerDevice() throws Exception {
        Path origin = loop(image.origin);
        Path target = loop(noise("target", BYTES + (1 << 20)));
        Path state = folder.resolve("state");
        Path full = copy(origin, "full", "--full");
        InProcess.run("era_apply", full, "-o", target, "--state", state);
        programs.host("cmp", "-n", BYTES, origin, target).good();
        for (int i = 0; i < 3; i++) {
            image.scribble(random, 10);
            image.catchUp();
            image.checkpoint();
            Path next = copy(origin, "increment" + i, "--after", full);
            InProcess.run("era_apply", full, next, "-o", target, "--state", state);
            programs.host("cmp", "-n", BYTES, origin, target).good();
            InProcess.run("era_apply", "--verify", full, next, "-o", target);
            full = next.equals(full) ? full : mergedFull(full, next, i);
        }
    }

    @Test
    void aStreamIsReadFromTheDeviceThatItWasWrittenTo() throws Exception {
        Path device = loop(noise("stream", 2 * BYTES));
        InProcess.run("era_copy", "--full", "-m", image.metadata, image.origin, "-o", device);
        InProcess.run("era_apply", device, "-o", folder.resolve("target"));
        programs.host("cmp", image.origin, folder.resolve("target")).good();
        Path merged = folder.resolve("merged");
        InProcess.run("era_copy", "--merge", device, "-o", merged);
        InProcess.run("era_apply", "--verify", merged, "-o", folder.resolve("target"));
    }

    /** Runs it with a file or device as standard input. */
    private Programs.Result from(Path input, String before, Object... args) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java") + " -XX:+UseSerialGC -cp "
                + System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
                + " org.dmera.tools.Main";
        List<String> words = new ArrayList<>();
        for (Object arg : args) {
            words.add(arg.toString());
        }
        return programs.host("sh", "-c", "(" + before + java + " " + String.join(" ", words) + ") < " + input);
    }

    @Test
    void aStreamThatIsCutIsFoundOnADeviceAndOnStandardInputBeforeAnythingIsWritten() throws Exception {
        Path stream = copy(image.origin, "full", "--full");
        byte[] whole = Files.readAllBytes(stream);
        byte[] onDevice = Files.readAllBytes(noise("device", 2 * BYTES));
        System.arraycopy(whole, 0, onDevice, 0, whole.length - StreamFooter.BYTES);
        Path device = loop(Files.write(folder.resolve("cut-on-device"), onDevice));
        Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(whole, whole.length - 1));
        Path target = folder.resolve("target");
        for (Programs.Result refused : List.of(
                programs.run("era_apply", device, "-o", target),
                programs.run("era_copy", "--after", device, "-m", image.metadata, image.origin, "-o", target),
                from(device, "", "era_apply", "-", "-o", target),
                from(cut, "", "era_apply", "-", "-o", target))) {
            assertEquals(1, refused.exitCode(), refused.toString());
            assertTrue(refused.text().matches("(?s).*(neither a chunk nor the footer|truncated).*"), refused.text());
            assertTrue(Files.notExists(target), refused.command());
        }
        System.arraycopy(whole, 0, onDevice, 0, whole.length);
        Path wholeOnDevice = loop(Files.write(folder.resolve("whole-on-device"), onDevice));
        from(wholeOnDevice, "", "era_apply", "-", "-o", target).good();
        assertEquals(-1L, Files.mismatch(image.origin, target));
        Path later = Files.write(folder.resolve("later"), new byte[512]);
        Files.write(later, whole, StandardOpenOption.APPEND);
        from(later, "dd of=/dev/null bs=512 count=1 status=none; ", "era_apply", "-f", "-", "-o", target)
                .good();
    }

    @Test
    void anOfflineCopyIsTakenBackThroughADeviceThatEndsWithinItsLastBlock() throws Exception {
        // An offline copy goes to the end of the origin: metadata counts whole blocks.
        long bytes = BYTES - 1024;
        Path full = copy(image.origin, "full", "--full");
        byte[] then = Files.readAllBytes(image.origin);
        image.scribble(random, 10);
        try (RandomAccessFile last = new RandomAccessFile(image.working.toFile(), "rw")) {
            last.seek(BYTES - TrackedImage.BLOCK_BYTES);
            last.write(new byte[] {1, 2, 3});
        }
        image.catchUp();
        image.takeSnapshot();
        String era = InProcess.run("era_apply", "-n", full, "-o", folder.resolve("none"))
                .replaceAll("(?s).*up to era ([0-9]+).*", "$1");
        Object[] revert = {full, "--changed-since", era, "-m", image.metadata, "--metadata-snapshot", "-o"};
        List<Object> args = new ArrayList<>(Arrays.asList(revert));
        args.add(loop(image.origin, BYTES - TrackedImage.BLOCK_BYTES));
        InProcess.Result small = InProcess.tryRun("era_apply", args.toArray());
        assertTrue(small.text().contains("Output file too small"), small.text());
        Path node = loop(image.origin, bytes);
        args.set(args.size() - 1, node);
        String said = InProcess.run("era_apply", args.toArray());
        assertTrue(said.contains("and verified: wrote"), said);
        assertEquals(-1, Arrays.mismatch(Arrays.copyOf(then, (int) bytes), Files.readAllBytes(node)));
    }

    private Path mergedFull(Path full, Path next, int i) {
        Path merged = folder.resolve("merged" + i);
        InProcess.run("era_copy", "--merge", full, next, "-o", merged);
        return merged;
    }

    @Test
    void anIncrementIsRefusedByADeviceThatWasMountedSince() throws Exception {
        programs.host("mkfs.ext4", "-q", "-F", image.working).good();
        image.catchUp();
        image.checkpoint();
        Path full = copy(image.origin, "full", "--full");
        Path target = loop(noise("target", BYTES));
        Path state = folder.resolve("state");
        InProcess.run("era_apply", full, "-o", target, "--state", state);
        image.scribble(random, 10);
        image.catchUp();
        image.checkpoint();
        Path next = copy(image.origin, "increment", "--after", full);

        Path mountPoint = Files.createDirectory(folder.resolve("mnt"));
        programs.host("mount", target, mountPoint).good();
        programs.host("umount", mountPoint).good();
        InProcess.Result looked = InProcess.tryRun("era_apply", "--dry-run", next, "-o", target, "--state", state);
        assertEquals(1, looked.code(), looked.text());
        InProcess.Result refused = InProcess.tryRun("era_apply", next, "-o", target, "--state", state);
        assertTrue(refused.text().contains("has been written to since a stream was last applied"), refused.text());
        InProcess.run("era_apply", full, next, "-o", target, "--state", state);
        programs.host("cmp", image.origin, target).good();
    }

    /** The disks of a rotation come up under one name, and what is known of the name is not known of each disk. */
    @Test
    void anIncrementIsRefusedByAnotherDiskUnderTheSameName() throws Exception {
        Path state = folder.resolve("state");
        Path full = copy(image.origin, "full", "--full");
        Path first = noise("first", BYTES);
        Path second = noise("second", BYTES);
        Path node = loop(first);
        InProcess.run("era_apply", full, "-o", node, "--state", state);
        programs.host("losetup", "-d", node).good();
        image.scribble(random, 10);
        image.catchUp();
        image.checkpoint();
        Path next = copy(image.origin, "increment", "--after", full);

        programs.host("losetup", node, second).good();
        InProcess.Result refused = InProcess.tryRun("era_apply", next, "-o", node, "--state", state);
        assertTrue(refused.text().contains("has been written to since a stream was last applied"), refused.text());
        programs.host("losetup", "-d", node).good();
        programs.host("truncate", "-s", BYTES + 4096, second).good();
        programs.host("losetup", node, second).good();
        InProcess.Result larger = InProcess.tryRun("era_apply", next, "-o", node, "--state", state);
        assertTrue(larger.text().contains("is not the device that its state is about"), larger.text());

        programs.host("losetup", "-d", node).good();
        programs.host("losetup", node, first).good();
        InProcess.run("era_apply", next, "-o", node, "--state", state);
        programs.host("cmp", image.origin, node).good();
    }

    @Test
    void anInterruptedStreamIsNotResumedOnAnotherDiskUnderTheSameName() throws Exception {
        Path state = folder.resolve("state");
        Files.write(image.origin, Files.readAllBytes(noise("noise", BYTES)));
        Path full = copy(image.origin, "full", "--full");
        Path first = noise("first", BYTES);
        Path second = noise("second", BYTES);
        Path node = loop(first);
        Path pipe = folder.resolve("pipe");
        programs.host("mkfifo", pipe).good();
        byte[] whole = Files.readAllBytes(full);
        CompletableFuture<Void> writing = CompletableFuture.runAsync(() -> {
            try {
                Files.write(pipe, Arrays.copyOf(whole, whole.length - 1000));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        InProcess.Result cut = InProcess.tryRun("era_apply", pipe, "-o", node, "--state", state);
        assertTrue(cut.text().contains("truncated"), cut.text());
        writing.get();

        programs.host("losetup", "-d", node).good();
        programs.host("losetup", node, second).good();
        InProcess.Result refused = InProcess.tryRun("era_apply", full, "-o", node, "--state", state);
        assertTrue(refused.text().contains("does not hold what was written to it before"), refused.text());

        programs.host("losetup", "-d", node).good();
        programs.host("losetup", node, first).good();
        assertTrue(
                InProcess.run("era_apply", full, "-o", node, "--state", state).contains("resumed at chunk"));
        programs.host("cmp", image.origin, node).good();
    }

    @Test
    void aStreamGoesOntoADeviceThatNobodyUses() throws Exception {
        Path device = loop(noise("tape", 2 * BYTES));
        InProcess.run("era_copy", "--full", "-m", image.metadata, image.origin, "-o", device);
        // Durable when the command is done: below the loop device's own cache.
        byte[] written = Files.readAllBytes(folder.resolve("tape"));
        assertEquals((byte) 0x89, written[0]);
        assertEquals("ERA", new String(written, 1, 3, java.nio.charset.StandardCharsets.US_ASCII));

        Path mountPoint = Files.createDirectory(folder.resolve("mnt"));
        programs.host("mkfs.ext4", "-q", "-F", device).good();
        programs.host("mount", device, mountPoint).good();
        try {
            InProcess.Result busy =
                    InProcess.tryRun("era_copy", "--full", "-m", image.metadata, image.origin, "-o", device);
            assertTrue(busy.text().contains("is in use"), busy.text());
        } finally {
            programs.host("umount", mountPoint).good();
        }
        programs.host("e2fsck", "-fn", device).good();
    }

    @Test
    void aDeviceThatIsTooSmallOrMountedIsRefusedUntouched() throws Exception {
        Path full = copy(image.origin, "full", "--full");
        Path file = noise("small", BYTES - 4096);
        byte[] before = Files.readAllBytes(file);
        InProcess.Result small = InProcess.tryRun("era_apply", full, "-o", loop(file), "--state", folder.resolve("s1"));
        assertEquals(1, small.code());
        assertTrue(small.text().contains("Output file too small"), small.text());
        assertArrayEquals(before, Files.readAllBytes(file));
        InProcess.Result dry = InProcess.tryRun("era_apply", "-n", full, "-o", loop(file));
        assertTrue(dry.code() == 1 && dry.text().contains("Output file too small"), dry.text());

        Path writable = noise("read-only", BYTES);
        Path readOnly = Path.of(
                programs.host("losetup", "-f", "--show", "-r", writable).good().trim());
        loops.add(readOnly.toString());
        InProcess.Result refused = InProcess.tryRun("era_apply", full, "-o", readOnly, "--state", folder.resolve("s3"));
        assertEquals("era_apply: Device " + readOnly + " is read-only\n", refused.text());
        assertTrue(Files.notExists(folder.resolve("s3")));
        assertEquals(
                "era_copy: Device " + readOnly + " is read-only\n",
                InProcess.tryRun("era_copy", "--merge", full, "-o", readOnly).text());

        Path mounted = loop(noise("mounted", BYTES + 4096));
        Path mountPoint = Files.createDirectory(folder.resolve("mnt"));
        programs.host("mkfs.ext4", "-q", "-F", mounted).good();
        programs.host("mount", mounted, mountPoint).good();
        try {
            InProcess.Result busy = InProcess.tryRun("era_apply", full, "-o", mounted, "--state", folder.resolve("s2"));
            assertEquals(1, busy.code());
            assertTrue(busy.text().contains("is in use"), busy.text());
        } finally {
            programs.host("umount", mountPoint).good();
        }
        programs.host("e2fsck", "-fn", mounted).good();
    }

    @Test
    void aDeviceThatIsTooSmallForTheLastOfTheStreamsIsRefusedBeforeTheFirstIsApplied() throws Exception {
        Path full = copy(image.origin, "full", "--full");
        try (TrackedImage grown = new TrackedImage(Files.createDirectory(folder.resolve("grown")), 2 * BYTES)) {
            for (int i = 0; i < 3; i++) {
                grown.checkpoint();
            }
            Path next = folder.resolve("next");
            String identity = image.metadata.toRealPath().toString();
            InProcess.run(
                    "era_copy",
                    "--since",
                    1,
                    "--base-size",
                    BYTES,
                    "--identity",
                    identity,
                    "-m",
                    grown.metadata,
                    grown.origin,
                    "-o",
                    next);
            byte[] before = Files.readAllBytes(noise("target", BYTES));
            Path target = loop(folder.resolve("target"));
            for (String how : List.of("-q", "-n", "-f")) {
                InProcess.Result refused = InProcess.tryRun(
                        "era_apply", how, full, next, "-o", target, "--state", folder.resolve("state"));
                assertEquals(1, refused.code(), how + ": " + refused.text());
                assertTrue(how.equals("-q") || refused.text().contains("the origin of " + next), refused.text());
                assertArrayEquals(before, Files.readAllBytes(target), how);
            }
        }
    }

    @Test
    void whatTheDeviceNodesCacheRemembersIsNotCopied() throws Exception {
        Path origin = loop(image.origin);
        // Somebody has the node open and has read all of it through the cache …
        try (RandomAccessFile reader = new RandomAccessFile(origin.toFile(), "r")) {
            byte[] all = new byte[BYTES];
            reader.readFully(all);
            // … and then writes come from below, as they do when they go through the era device.
            image.scribble(random, 20);
            image.catchUp();
            image.checkpoint();
            programs.host("sync", image.origin).good();
            Path full = copy(origin, "full", "--full");
            Path target = folder.resolve("target");
            InProcess.run("era_apply", full, "-o", target);
            assertEquals(-1L, Files.mismatch(image.origin, target));
        }
    }

    @Test
    void aCopyLeavesThePageCacheAsItWas() throws Exception {
        assumeFalse("tmpfs".equals(Files.getFileStore(folder).type()), "its files are in the page cache");
        programs.host("sync", image.origin).good();
        programs.host("dd", "of=" + image.origin, "oflag=nocache", "conv=notrunc,fdatasync", "count=0")
                .good();
        long before = cachedBytes(image.origin);
        Path full = copy(image.origin, "full", "--full", "--compress", "none");
        assertTrue(cachedBytes(image.origin) <= before, "the origin: " + cachedBytes(image.origin));
        assertTrue(cachedBytes(full) < 1 << 20, "the stream: " + cachedBytes(full));
        Path target = folder.resolve("target");
        InProcess.run("era_apply", full, "-o", target);
        assertTrue(cachedBytes(target) < 1 << 20, "the target: " + cachedBytes(target));
    }

    private long cachedBytes(Path file) throws Exception {
        return Long.parseLong(
                programs.host("fincore", "-b", "-n", "-o", "RES", file).good().trim());
    }

    @Test
    void aFileSystemWithoutDirectReadsWillDo() throws Exception {
        Path mountPoint = Files.createDirectory(folder.resolve("ramfs"));
        programs.host("mount", "-t", "ramfs", "ramfs", mountPoint).good();
        try {
            Path origin = Files.copy(image.origin, mountPoint.resolve("origin"));
            try (OriginReader reader = OriginReader.open(origin)) {
                assertFalse(reader.isDirect(), "ramfs has no O_DIRECT");
            }
            Path full = copy(origin, "ramfs/full", "--full");
            Path target = mountPoint.resolve("target");
            InProcess.run("era_apply", full, "-o", target);
            assertEquals(-1L, Files.mismatch(origin, target));
        } finally {
            programs.host("umount", mountPoint).good();
        }
    }

    @Test
    void aDiskThatFillsUpFailsTheCopyAndLeavesNothing() throws Exception {
        Path mountPoint = Files.createDirectory(folder.resolve("small"));
        programs.host("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mountPoint)
                .good();
        try {
            InProcess.Result result = InProcess.tryRun(
                    "era_copy",
                    "--full",
                    "--compress",
                    "none",
                    "-m",
                    image.metadata,
                    image.origin,
                    "-o",
                    mountPoint.resolve("full"));
            assertEquals(1, result.code());
            assertTrue(result.text().contains("No space left"), result.text());
            try (var left = Files.list(mountPoint)) {
                assertEquals(List.of(), left.toList());
            }
            Path full = copy(image.origin, "full", "--full");
            InProcess.Result apply = InProcess.tryRun("era_apply", full, "-o", mountPoint.resolve("target"));
            assertEquals(1, apply.code());
            assertTrue(apply.text().contains(mountPoint + "/target: writing at byte"), apply.text());
            assertTrue(apply.text().contains("No space left"), apply.text());
        } finally {
            programs.host("umount", mountPoint).good();
        }
    }
}
