// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Nodes in /dev come back when their engine does, however it ended. */
@Timeout(600)
@Alone
class NodesAfterRestartTest {
    @TempDir
    Path folder;

    private final String vol = TestLinks.name("life");
    private final String other = vol + "-other";
    private Program program;

    @BeforeEach
    void start() throws Exception {
        Host.needAttach();
        TestLinks.clean();
        program = new Program(folder);
        program.start();
    }

    @AfterEach
    void end() throws IOException {
        if (program != null) {
            try {
                // Not a kill: the nodes must go.
                program.terminate();
            } finally {
                // Of one that was killed, and whose successor did not start.
                TestLinks.clean();
            }
        }
    }

    private void create(String name, String... options) throws Exception {
        String table =
                "0 65536 era " + program.file(name + ".meta", 8192) + " " + program.file(name + ".data", 65_536) + " 8";
        program.run("create", name, "--table", table).ok();
        for (String option : options) {
            program.run(option, name).ok();
        }
    }

    private static Path link(String name) {
        Path mapper = Path.of("/dev/mapper", name);
        return Files.isSymbolicLink(mapper) ? mapper : Path.of("/dev/era", name);
    }

    private static boolean hasNode(String name) {
        return Files.exists(link(name), LinkOption.NOFOLLOW_LINKS);
    }

    /** Writes block 3 through the node; how many blocks are marked then. */
    private String writeThrough(String name) throws Exception {
        program.run(List.of(
                        "dd",
                        "if=/dev/urandom",
                        "of=" + link(name).toRealPath(),
                        "bs=4096",
                        "seek=3",
                        "count=1",
                        "oflag=direct",
                        "conv=notrunc"))
                .ok();
        return program.run("message", name, "0", "@marked").ok().out();
    }

    @Test
    void afterAKillAndAfterAnOrderlyEndTheNodeIsBackAndWritesAreMarked() throws Exception {
        create(vol, "attach");
        Path node = Path.of(
                program.run("attach", "--readahead", "64", vol).ok().out().strip());
        Path queue = Path.of("/sys/block").resolve(node.getFileName()).resolve("queue");
        assertEquals("32\n", Files.readString(queue.resolve("read_ahead_kb")), "64 sectors");
        assertEquals("1\n", writeThrough(vol));

        program.kill();
        program.start();
        assertTrue(program.log().contains("attached " + vol + " as "), program.log());
        assertEquals("1\n", writeThrough(vol));
        assertEquals("3\n", program.run("checkpoint", vol).ok().out());

        program.terminate();
        assertFalse(hasNode(vol));
        program.start();
        assertEquals("1\n", writeThrough(vol));
        long mounts = Files.readAllLines(Path.of("/proc/mounts")).stream()
                .filter(line -> line.contains(folder.toString()))
                .count();
        assertTrue(mounts <= 1, "what the killed engine had mounted is gone");

        program.run("detach", vol).ok();
        assertFalse(hasNode(vol));
        program.kill();
        program.start();
        assertFalse(hasNode(vol));
    }

    /** It would come over what is written by that one, whenever the system writes it out. */
    @Test
    void whatANodeHoldsYetIsWrittenOutBeforeAnotherDeviceLiesOnIt() throws Exception {
        create(vol, "attach");
        String table = "0 65536 linear engine:" + vol + " 0";
        for (List<String> create : List.of(
                List.of("create", other, "--table", table), List.of("create", other, "--readonly", "--table", table))) {
            byte[] block = new byte[4096];
            Arrays.fill(block, (byte) create.size());
            Files.write(link(vol).toRealPath(), block, StandardOpenOption.WRITE);
            program.run(create.toArray(String[]::new)).ok();
            try (InputStream data = Files.newInputStream(folder.resolve(vol + ".data"))) {
                assertArrayEquals(block, data.readNBytes(4096));
            }
            program.run("remove", other).ok();
        }
    }

    /** With such a node open, a killed engine would never end. */
    @Test
    void anOwnNodeBeneathAnotherDeviceIsTakenForItsDevice() throws Exception {
        create(vol, "attach");
        Path node = link(vol).toRealPath();
        String number = Files.readString(
                        Path.of("/sys/class/block", node.getFileName().toString(), "dev"))
                .strip();
        String line = "0 65536 linear 120:"
                + program.run("info", "-c", "--noheadings", "-o", "minor", vol)
                        .ok()
                        .out()
                        .strip() + " 0\n";
        for (String beneath : List.of(node.toString(), number, "/dev/block/" + number)) {
            if (!beneath.contains("block") || Files.exists(Path.of(beneath))) {
                program.run("create", other, "--table", "0 65536 linear " + beneath + " 0")
                        .ok();
                assertEquals(line, program.run("table", other).ok().out());
                program.run("remove", other).ok();
            }
        }
        program.run(List.of("addpart", node.toString(), "1", "2048", "4096")).ok();
        Program.Result refused = program.run("create", other, "--table", "0 4096 linear " + node + "p1 0");
        assertTrue(refused.err().contains("Device or resource busy"), refused.err());
        assertTrue(program.log().contains(node + "p1 lies on " + node), program.log());

        String loop = program.run(List.of("losetup", "-f", "--show", node.toString()))
                .ok()
                .out()
                .strip();
        try {
            refused = program.run("create", other, "--table", "0 4096 linear " + loop + " 0");
            assertTrue(refused.err().contains("Device or resource busy"), refused.err());
            assertTrue(program.log().contains(loop + " lies on " + node), program.log());
        } finally {
            program.run(List.of("losetup", "-d", loop)).ok();
        }

        program.run("create", other, "--attach", "--table", "0 65536 linear " + node + " 0")
                .ok();
        leaveUnwritten(other);
        program.kill();
        program.start();
        assertEquals("1\n", writeThrough(vol));
        program.run("remove", other).ok();
    }

    /** Through the node's page cache, where it stays for now: the engine has the node open, too. */
    private void leaveUnwritten(String name) throws IOException {
        Files.write(link(name).toRealPath(), new byte[16 << 20], StandardOpenOption.WRITE);
    }

    @Test
    void aKilledEngineEndsThoughItsNodeHasNotWrittenAll() throws Exception {
        create(vol, "attach");
        leaveUnwritten(vol);
        program.kill();
        program.start();
        assertFalse(writeThrough(vol).isBlank());
    }

    @Test
    void anEngineKilledWhileANodeIsWrittenOutEnds() throws Exception {
        leaveUnwrittenWhileTheDeviceBeneathIsSuspended();
        killWhileItDetaches("keeper of");
    }

    /** Whoever looks for partitions first writes out what the node's page cache holds, and nobody can open it meanwhile. */
    @Test
    void anEngineKilledWhileANodeCanNotBeOpenedEnds() throws Exception {
        leaveUnwrittenWhileTheDeviceBeneathIsSuspended();
        Process partitions = new ProcessBuilder(
                        "blockdev", "--rereadpt", link(vol).toRealPath().toString())
                .start();
        while (!isWaiting(partitions.toHandle(), "blockdev")) {
            assertTrue(partitions.isAlive(), "the device beneath is suspended");
        }
        killWhileItDetaches("");
        partitions.waitFor();
    }

    private void leaveUnwrittenWhileTheDeviceBeneathIsSuspended() throws Exception {
        create(other);
        program.run("create", vol, "--attach", "--table", "0 65536 linear engine:" + other + " 0")
                .ok();
        program.run("suspend", other).ok();
        leaveUnwritten(vol);
    }

    /** Once a thread of the engine, whose name begins so, waits in the kernel; then the next engine comes. */
    private void killWhileItDetaches(String thread) throws Exception {
        Process detach = program.begin("detach", vol);
        ProcessHandle engine = program.engine();
        while (!isWaiting(engine, thread)) {
            assertTrue(detach.isAlive(), "the device beneath is suspended");
        }
        program.kill();
        assertEquals(1, detach.waitFor());
        program.start();
        program.run("resume", other).ok();
        program.run("checkpoint", other).ok();
    }

    /** Whether a thread whose name begins so waits in the kernel for a disk. */
    private static boolean isWaiting(ProcessHandle process, String thread) {
        try (DirectoryStream<Path> tasks = Files.newDirectoryStream(Path.of("/proc/" + process.pid() + "/task"))) {
            for (Path task : tasks) {
                String stat = Files.readString(task.resolve("stat"));
                if (stat.contains("(" + thread) && stat.contains(") D ")) {
                    return true;
                }
            }
        } catch (IOException e) {
            // A thread ended.
        }
        return false;
    }

    @Test
    void aSuspendedDeviceGetsItsNodeBackWhenItIsResumed() throws Exception {
        create(vol, "attach", "suspend");
        program.kill();
        program.start();
        assertFalse(hasNode(vol), "its stale link must not lead to what is another's by now");
        program.run("resume", vol).ok();
        assertEquals("1\n", writeThrough(vol));
        program.run("remove", vol).ok();
        assertFalse(hasNode(vol));
    }

    @Test
    void aNodeThatCanNotComeBackIsALineInTheLogAndHarmsNothingElse() throws Exception {
        create(vol, "attach");
        create(other, "attach");
        program.kill();
        // Not a link, so not the engine's to replace.
        Path taken = link(vol);
        Files.delete(taken);
        Files.createFile(taken);
        try {
            program.start();
            assertEquals(
                    1,
                    program.log()
                            .lines()
                            .filter(line -> line.contains(vol + " (120:0) does not get its node back: "))
                            .count(),
                    program.log());
            assertEquals("1\n", writeThrough(other));
            assertEquals("2\n", program.run("checkpoint", vol).ok().out().replace("3\n", "2\n"));
        } finally {
            Files.delete(taken);
        }
    }

    @Test
    void aDeviceThatWasToHaveANodeAndCanNotGetOneIsNotCreated() throws Exception {
        create(other, "attach");
        Path taken = link(other).resolveSibling(vol);
        Files.createFile(taken);
        try {
            Program.Result refused = program.run("create", vol, "--attach", "--table", "0 8 zero");
            assertEquals(1, refused.exit());
            assertTrue(refused.err().contains("File exists"), refused.err());
            assertTrue(program.log().contains("attach " + vol + " (120:1): link " + taken), program.log());
            assertEquals(other + "\t(120:0)\n", program.run("ls").ok().out());
        } finally {
            Files.delete(taken);
        }
        program.run("create", vol, "--attach", "--table", "0 8 zero").ok();
    }

    @Test
    void whatCanNotBeReadIsNotAttached() throws Exception {
        create(vol, "suspend");
        Program.Result suspended = program.run("attach", vol);
        assertEquals(1, suspended.exit());
        assertTrue(suspended.err().contains("Device or resource busy"), suspended.err());
        program.run("create", other, "--notable").ok();
        Program.Result empty = program.run("attach", other);
        assertEquals(1, empty.exit());
        assertTrue(empty.err().contains("No such device or address"), empty.err());
    }
}
