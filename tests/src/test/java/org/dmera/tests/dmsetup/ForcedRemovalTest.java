// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.dmsetup;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.dmera.testkit.Alone;
import org.dmera.tests.io.Host;
import org.dmera.tests.io.TestLinks;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code remove -f} of a device with a node: force is no reason to lose what was written. */
@Timeout(600)
@Alone
class ForcedRemovalTest {
    @TempDir
    Path folder;

    private final String vol = TestLinks.name("force");
    private Program program;
    private Path node;

    @BeforeEach
    void start() throws Exception {
        Host.needAttach();
        TestLinks.clean();
        program = new Program(folder);
        program.start();
        program.run(
                        "create",
                        vol,
                        "--table",
                        "0 65536 era " + program.file("meta", 8192) + " " + program.file("data", 65_536) + " 8")
                .ok();
        node = Path.of(program.run("attach", vol).ok().out().strip());
    }

    @AfterEach
    void end() throws IOException {
        if (program != null) {
            try {
                program.terminate();
            } finally {
                TestLinks.clean();
            }
        }
    }

    private static boolean hasLink(String name) {
        return Files.exists(Path.of("/dev/mapper", name), LinkOption.NOFOLLOW_LINKS)
                || Files.exists(Path.of("/dev/era", name), LinkOption.NOFOLLOW_LINKS);
    }

    private String state() throws Exception {
        return program.run("table", vol).ok().out()
                + program.run("info", vol).ok().out();
    }

    private void assertBusy(String... words) throws Exception {
        Program.Result refused = program.run(words);
        assertTrue(refused.err().contains("Device or resource busy"), refused.out() + refused.err());
    }

    @Test
    void aMountedDeviceRefusesToGoByForceAndNothingHasChanged() throws Exception {
        Path mountPoint = Files.createDirectory(folder.resolve("mnt"));
        program.run(List.of("mkfs.ext4", "-q", "-F", node.toString())).ok();
        program.run(List.of("mount", node.toString(), mountPoint.toString())).ok();
        try {
            String before = state();
            assertBusy("remove", "-f", vol);
            assertEquals(before, state());
            assertBusy("remove_all", "-f");
            assertEquals(before, state());
            Files.writeString(mountPoint.resolve("file"), "still works");
            program.run(List.of("sync", "-f", mountPoint.toString())).ok();

            program.run("suspend", vol).ok();
            before = state();
            assertBusy("remove", "-f", vol);
            assertEquals(before, state());
            program.run("resume", vol).ok();
        } finally {
            program.run(List.of("umount", mountPoint.toString())).ok();
        }
        program.run(List.of("e2fsck", "-fn", node.toString())).ok();
        program.run("remove", "-f", vol).ok();
        assertFalse(hasLink(vol));
    }

    @Test
    void whatTheNodeHadNotWrittenYetIsOnTheOriginAfterARemovalByForce() throws Exception {
        byte[] noise = new byte[8 << 20];
        new Random(1).nextBytes(noise);
        // Through the node's page cache, where it stays for now.
        Files.write(node, noise, StandardOpenOption.WRITE);
        program.run("remove", "-f", vol).ok();
        assertArrayEquals(noise, Arrays.copyOf(Files.readAllBytes(folder.resolve("data")), noise.length));
        assertEquals("No devices found\n", program.run("ls").ok().out());
        assertFalse(hasLink(vol));
    }

    @Test
    void aSuspendedDeviceWhoseNodeNobodyUsesGoesByForce() throws Exception {
        program.run("suspend", vol).ok();
        assertBusy("remove", vol);
        program.run("remove", "-f", vol).ok();
        assertEquals("No devices found\n", program.run("ls").ok().out());
        assertFalse(hasLink(vol));
    }
}
