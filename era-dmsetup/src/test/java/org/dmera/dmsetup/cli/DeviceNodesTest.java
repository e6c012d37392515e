// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.linux.DeviceNode;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Nodes of the kernel's devices, where no udev makes them: nothing else is ever replaced or taken away. */
@Alone
class DeviceNodesTest {
    private static final long DEV = DevNumber.encode(253, 7);
    private static final long OTHER = DevNumber.encode(253, 8);

    @TempDir
    Path folder;

    private DeviceNodes nodes;

    @BeforeEach
    void open() throws CommandLineException {
        assumeTrue("root".equals(System.getProperty("user.name")), "nodes need root");
        nodes = DeviceNodes.ofKernel(folder, Switches.parse("dmsetup", List.of("--noudevrules")));
    }

    private Path path(String name) {
        return folder.resolve(name);
    }

    private void assertNode(String name, long dev) throws IOException {
        assertEquals(dev, (long) Files.getAttribute(path(name), "unix:rdev", LinkOption.NOFOLLOW_LINKS));
    }

    private void makeNode(String name, long dev) throws IOException {
        DeviceNode.makeBlockDevice(path(name).toString(), 0600, DevNumber.major(dev), DevNumber.minor(dev));
    }

    /** As device-mapper's own control node is. */
    private void makeCharacterDevice(String name) throws Exception {
        Process mknod = new ProcessBuilder("mknod", path(name).toString(), "c", "10", "236").start();
        assumeTrue(mknod.waitFor() == 0, "needs mknod of character devices");
    }

    @Test
    void nodesOfDevicesAndLinksToThemAreReplacedRenamedAndTakenAway() throws IOException {
        makeNode("a", OTHER);
        nodes.added("a", DEV);
        assertNode("a", DEV);
        Files.createSymbolicLink(path("b"), Path.of("../dm-99"));
        nodes.renamed("a", "b");
        assertNode("b", DEV);
        assertFalse(Files.exists(path("a"), LinkOption.NOFOLLOW_LINKS));
        nodes.removed("b");
        assertFalse(Files.exists(path("b"), LinkOption.NOFOLLOW_LINKS));
        nodes.removed("b");
    }

    @Test
    void theControlNodeIsNeitherReplacedNorTakenAwayNorRenamed() throws Exception {
        makeCharacterDevice("control");
        long control = (long) Files.getAttribute(path("control"), "unix:rdev");
        assertThrows(IOException.class, () -> nodes.added("control", DEV));
        nodes.removed("control");
        nodes.renamed("control", "y");
        makeNode("y", DEV);
        assertThrows(IOException.class, () -> nodes.renamed("y", "control"));
        assertNode("control", control);
        assertNode("y", DEV);
    }

    @Test
    void filesFoldersAndLinksToElsewhereStay() throws IOException {
        Files.writeString(path("file"), "precious");
        Files.createDirectory(path("folder"));
        Files.createSymbolicLink(path("link"), path("file"));
        for (String name : List.of("file", "folder", "link")) {
            IOException e = assertThrows(IOException.class, () -> nodes.added(name, DEV));
            assertTrue(e.getMessage().contains(path(name).toString()), e.getMessage());
            nodes.removed(name);
            makeNode("from-" + name, DEV);
            assertThrows(IOException.class, () -> nodes.renamed("from-" + name, name));
            assertNode("from-" + name, DEV);
        }
        assertEquals("precious", Files.readString(path("file")));
        assertTrue(Files.isDirectory(path("folder")));
        assertTrue(Files.isSymbolicLink(path("link")));
    }

    @Test
    void noDeviceGetsANameThatIsSomethingElse() throws CommandLineException {
        for (String name : List.of("control", ".", "..")) {
            assertThrows(CommandLineException.class, () -> Session.checkNewName(name));
            // One that has it on a kernel that allows that must be got rid of.
            Session.checkName(name);
        }
        Session.checkNewName("controls");
    }
}
