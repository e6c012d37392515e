// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A device whose node is in use is suspended and removed, or not, as the kernel's own would be. */
@Timeout(600)
@Alone
class MountedNodeTest {
    @TempDir
    Path folder;

    private final String vol = TestLinks.name("mounted");
    private Program program;
    private Path node;
    private Path mountPoint;

    @BeforeEach
    void start() throws Exception {
        Host.needAttach();
        TestLinks.clean();
        program = new Program(folder);
        program.start();
        program.run(
                        "create",
                        vol,
                        "--attach",
                        "--table",
                        "0 65536 era " + program.file("meta", 8192) + " " + program.file("data", 65_536) + " 8")
                .ok();
        node = link().toRealPath();
        mountPoint = Files.createDirectory(folder.resolve("mnt"));
    }

    @AfterEach
    void end() throws Exception {
        if (program != null) {
            try {
                // Whatever a failed test left suspended or frozen.
                program.run("resume", vol);
                program.run(List.of("fsfreeze", "-u", mountPoint.toString()));
                program.run(List.of("umount", mountPoint.toString()));
                program.terminate();
            } finally {
                TestLinks.clean();
            }
        }
    }

    private Path link() {
        Path mapper = Path.of("/dev/mapper", vol);
        return Files.isSymbolicLink(mapper) ? mapper : Path.of("/dev/era", vol);
    }

    private boolean hasLink() {
        return Files.exists(link(), LinkOption.NOFOLLOW_LINKS);
    }

    private void mount() throws Exception {
        program.run(List.of("mkfs.ext4", "-q", "-F", node.toString())).ok();
        program.run(List.of("mount", node.toString(), mountPoint.toString())).ok();
    }

    private void unmount() throws Exception {
        program.run(List.of("umount", mountPoint.toString())).ok();
    }

    private String field(String name) throws Exception {
        return program.run("info", "-c", "--noheadings", "-o", name, vol)
                .ok()
                .out()
                .strip();
    }

    private void assertBusy(String... words) throws Exception {
        Program.Result refused = program.run(words);
        assertEquals(1, refused.exit());
        assertTrue(refused.err().contains("Device or resource busy"), refused.out() + refused.err());
    }

    private static void sleep() {
        LockSupport.parkNanos(10_000_000);
    }

    /** Waits until somebody waits for the frozen file system. */
    private static void awaitBlocked(Process process) throws IOException {
        while (!Files.readString(Path.of("/proc/" + process.pid() + "/stat")).contains(") D ")) {
            assertTrue(process.isAlive(), "nothing holds the write back");
            sleep();
        }
    }

    private Process touch(String name) throws IOException {
        return new ProcessBuilder("touch", mountPoint.resolve(name).toString()).start();
    }

    @Test
    void aMountIsAnOpenAndARefusedRemovalChangesNothing() throws Exception {
        assertEquals("0", field("open"));
        mount();
        assertEquals("1", field("open"));
        assertBusy("remove", vol);
        assertTrue(hasLink());
        Files.writeString(mountPoint.resolve("file"), "still works");
        unmount();
        assertEquals("0", field("open"));
        program.run("remove", vol).ok();
        assertFalse(hasLink());
    }

    @Test
    void noOtherDeviceWritesBeneathAMountedFileSystem() throws Exception {
        String top = vol + "-top";
        String table = "0 65536 linear engine:" + vol + " 0";
        mount();
        assertBusy("create", top, "--table", table);
        program.run("create", top, "--readonly", "--table", table).ok();
        program.run("remove", top).ok();
        unmount();
        program.run("create", top, "--table", table).ok();
        program.run("remove", top).ok();
    }

    @Test
    void anNbdClientKeepsTheDeviceAndItsNodeStays() throws Exception {
        try (SocketChannel client = useByNbd()) {
            assertEquals("1", field("open"));
            assertBusy("remove", vol);
            assertTrue(hasLink());
            program.run(List.of("dd", "if=" + node, "of=/dev/null", "bs=4k", "count=1", "iflag=direct"))
                    .ok();
            program.run("remove", "--deferred", vol).ok();
            assertTrue(hasLink());
            assertTrue(client.isConnected());
        }
        awaitGone();
    }

    /** The old way of choosing an export is enough to have it open. */
    private SocketChannel useByNbd() throws IOException {
        SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX);
        client.connect(UnixDomainSocketAddress.of(program.socket + ".nbd"));
        byte[] name = vol.getBytes(StandardCharsets.UTF_8);
        ByteBuffer choice = ByteBuffer.allocate(20 + name.length);
        choice.putInt(3).put("IHAVEOPT".getBytes(StandardCharsets.UTF_8)).putInt(1);
        client.write(choice.putInt(name.length).put(name).flip());
        ByteBuffer answer = ByteBuffer.allocate(18 + 10);
        while (answer.hasRemaining()) {
            assertTrue(client.read(answer) > 0, "the export is refused");
        }
        return client;
    }

    private void awaitGone() throws Exception {
        while (program.run("ls").ok().out().contains(vol)) {
            sleep();
        }
        assertFalse(hasLink());
    }

    @Test
    void theDeferredRemovalOfAMountedDeviceComesWhenItIsUnmounted() throws Exception {
        mount();
        program.run("remove", "--deferred", vol).ok();
        assertTrue(program.run("info", vol).ok().out().contains("DEFERRED REMOVE"));
        Files.writeString(mountPoint.resolve("file"), "still works");
        program.run("message", vol, "0", "@cancel_deferred_remove").ok();
        assertTrue(hasLink());
        program.run("remove", "--deferred", vol).ok();
        unmount();
        awaitGone();
    }

    @Test
    void aSuspendFreezesTheMountedFileSystemUntilTheResume() throws Exception {
        mount();
        program.run("suspend", vol).ok();
        Program.Result again = program.run(List.of("fsfreeze", "-f", mountPoint.toString()));
        assertTrue(again.err().contains("Device or resource busy"), again.err());
        Process writer = touch("held");
        awaitBlocked(writer);
        // What lies beneath is whole: its journal has nothing to replay.
        program.run(List.of("e2fsck", "-fn", folder.resolve("data").toString())).ok();
        Program.Result header =
                program.run(List.of("dumpe2fs", "-h", folder.resolve("data").toString()));
        assertFalse(header.ok().out().contains("needs_recovery"), header.out());
        program.run("resume", vol).ok();
        assertEquals(0, writer.waitFor());
        assertTrue(Files.exists(mountPoint.resolve("held")));
        // And it is thawed, not only able to go on.
        program.run(List.of("fsfreeze", "-f", mountPoint.toString())).ok();
        program.run(List.of("fsfreeze", "-u", mountPoint.toString())).ok();
        unmount();
    }

    @Test
    void oneThatIsFrozenAlreadyIsBusyAndTheDeviceIsNotSuspendedUnlessItIsToBeLeftAlone() throws Exception {
        mount();
        program.run(List.of("fsfreeze", "-f", mountPoint.toString())).ok();
        assertBusy("suspend", vol);
        assertEquals("L--w", field("attr"));
        program.run("suspend", "--nolockfs", vol).ok();
        assertEquals("L-sw", field("attr"));
        program.run("resume", vol).ok();
        program.run("suspend", "--noflush", vol).ok();
        program.run("resume", vol).ok();
        Process writer = touch("held");
        awaitBlocked(writer);
        program.run(List.of("fsfreeze", "-u", mountPoint.toString())).ok();
        assertEquals(0, writer.waitFor());
        unmount();
    }

    @Test
    void aNewTableOfAMountedDeviceIsSwappedInWithItsFileSystemFrozen() throws Exception {
        mount();
        Files.writeString(mountPoint.resolve("file"), "before");
        program.run("load", vol, "--table", "0 65536 linear " + folder.resolve("data") + " 0")
                .ok();
        program.run("resume", vol).ok();
        Files.writeString(mountPoint.resolve("file"), "after");
        unmount();
        program.run(List.of("e2fsck", "-fn", folder.resolve("data").toString())).ok();
    }

    @Test
    void whoWaitsForAFrozenFileSystemGoesOnWhenTheEngineStopsOrTheNextOneComesAfterAKill() throws Exception {
        mount();
        program.run("suspend", vol).ok();
        Process writer = touch("lost");
        awaitBlocked(writer);
        program.kill();
        program.start();
        writer.waitFor();
        unmount();
        program.run("resume", vol).ok();

        node = link().toRealPath();
        program.run(List.of("e2fsck", "-fp", node.toString()));
        program.run(List.of("mount", node.toString(), mountPoint.toString())).ok();
        program.run("suspend", vol).ok();
        writer = touch("lost");
        awaitBlocked(writer);
        program.terminate();
        writer.waitFor();
        unmount();
    }

    /** Something else is mounted over its mount point, so that nobody can open it. */
    @Test
    void aDeviceGetsItsNodeBackAfterAKillAlsoWhenItsFrozenFileSystemCanNotBeThawed() throws Exception {
        mount();
        program.run("suspend", vol).ok();
        program.run(List.of("mount", "-t", "tmpfs", "none", mountPoint.toString()))
                .ok();
        try {
            program.kill();
            program.start();
            program.run("resume", vol).ok();
            assertNotEquals(node, link().toRealPath());
        } finally {
            unmount();
        }
    }
}
