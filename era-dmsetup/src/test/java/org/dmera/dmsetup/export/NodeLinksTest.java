// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.Mounts;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What lies in the folder of attached nodes is obeyed only as far as this user can have put it there. */
@Alone
class NodeLinksTest {
    /** One that no kernel has. */
    private static final String NODE = "/dev/loop9999999";

    private static final String NAME = "era-links-" + ProcessHandle.current().pid();

    @TempDir
    Path folder;

    private final List<String> log = new ArrayList<>();

    private Path attached(String permissions) throws IOException {
        Path made = Files.createDirectory(folder.resolve("attached"));
        return Files.setPosixFilePermissions(made, PosixFilePermissions.fromString(permissions));
    }

    private void cleanUp(Path attached) {
        new NodeLinks(attached, log::add).cleanUp(new UblkNotes(attached, log::add));
    }

    /** A link as an engine makes them, but elsewhere, and a note that wants it gone. */
    private Path plant(Path attached) throws IOException {
        Path victim = Files.createSymbolicLink(folder.resolve("victim"), Path.of("/dev/loop9999999"));
        Files.write(attached.resolve("link-0"), List.of(victim.toString(), "/dev/loop9999999"));
        return victim;
    }

    private static boolean exists(Path path) {
        return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
    }

    @Test
    void aNoteDeletesNoLinkOutsideOfTheFoldersForNodes() throws IOException {
        Path attached = attached("rwx------");
        Path victim = plant(attached);
        Path escape = Path.of("/dev/mapper/../../" + victim);
        Files.write(attached.resolve("link-1"), List.of(escape.toString(), "/dev/loop9999999"));
        cleanUp(attached);
        assertTrue(exists(victim));
        assertFalse(exists(attached.resolve("link-0")), "the note itself is ours");
    }

    @Test
    void whatLiesInAFolderThatOthersCanWriteIsLeftAlone() throws IOException {
        Path attached = attached("rwxrwxrwx");
        Path victim = plant(attached);
        Path file = Files.createFile(attached.resolve("device-0"));
        cleanUp(attached);
        assertTrue(exists(victim));
        assertTrue(exists(file));
        assertEquals(1, log.size(), log::toString);
        assertTrue(log.get(0).contains(attached.toString()), log::toString);
    }

    @Test
    void aLinkInTheFoldersPlaceIsNotFollowed() throws IOException {
        Path elsewhere = attached("rwx------");
        Path file = Files.createFile(elsewhere.resolve("device-0"));
        cleanUp(Files.createSymbolicLink(folder.resolve("link"), elsewhere));
        assertTrue(exists(file));
        assertEquals(1, log.size(), log::toString);
    }

    @Test
    void aFolderOfAnEarlierVersionIsMadePrivateAndItsNotesDoNotCount() throws IOException {
        Path attached = attached("rwxr-xr-x");
        Path victim = plant(attached);
        cleanUp(attached);
        assertTrue(exists(victim));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(attached)));
        assertEquals(List.of(), log);
    }

    @Test
    void aFileThatCanNotBeTakenAwayKeepsNoOtherFromBeing() throws Exception {
        Path attached = attached("rwx------");
        List<Path> others = new ArrayList<>();
        for (int minor = 0; minor < 8; minor++) {
            others.add(Files.createFile(attached.resolve("device-" + minor)));
        }
        try (ImmutableFile stubborn = new ImmutableFile(attached.resolve("link-3"))) {
            cleanUp(attached);
            assertEquals(
                    List.of(), others.stream().filter(NodeLinksTest::exists).toList());
            assertEquals(1, log.size(), log::toString);
            assertTrue(log.get(0).contains(stubborn.path().toString()), log::toString);
        }
    }

    private static DeviceRegistry registry() {
        return new DeviceRegistry(
                List.of(),
                (device, readOnly, found) -> name -> null,
                task -> new Thread(task).start(),
                DeviceStore.NONE,
                EngineLog.silent());
    }

    @Test
    void afterAKillAnywhereInARenameNoLinkStays() throws IOException {
        assumeTrue(Files.isWritable(Path.of("/dev")), "needs the right to make links in /dev");
        DeviceRegistry registry = registry();
        MappedDevice device = registry.create(NAME, "", OptionalInt.empty());
        Path attached = folder.resolve("attached");
        NodeLinks links = new NodeLinks(attached, log::add);
        Path note = attached.resolve("link-0");
        Path old = links.make(device, NODE);
        registry.rename(device, "", NAME + "-new");
        Path link = links.rename(device, old, NODE, true);
        assertEquals(NODE, Files.readSymbolicLink(link).toString());
        assertFalse(exists(old));
        assertEquals(List.of(link.toString(), NODE, "frozen"), withoutIdentity(note));

        // As it is while there are both links, and while the note is written anew.
        Files.createSymbolicLink(old, Path.of(NODE));
        Files.write(note, List.of(link.toString(), NODE, "frozen", old.toString()));
        Path unfinished = Files.createFile(attached.resolve("link-0.new"));
        cleanUp(attached);
        assertFalse(exists(link));
        assertFalse(exists(old));
        assertFalse(exists(note));
        assertFalse(exists(unfinished));
    }

    @Test
    void aLinkThatCanNotGetItsNewNameKeepsTheOldOneAndItsNote() throws IOException {
        assumeTrue(Files.isWritable(Path.of("/dev")), "needs the right to make links in /dev");
        DeviceRegistry registry = registry();
        MappedDevice device = registry.create(NAME, "", OptionalInt.empty());
        Path attached = folder.resolve("attached");
        NodeLinks links = new NodeLinks(attached, log::add);
        Path old = links.make(device, NODE);
        Path taken = Files.createFile(old.resolveSibling(NAME + "-new"));
        try {
            registry.rename(device, "", NAME + "-new");
            assertThrows(ErrnoException.class, () -> links.rename(device, old, NODE, false));
            assertEquals(List.of(old.toString(), NODE), withoutIdentity(attached.resolve("link-0")));
            cleanUp(attached);
            assertFalse(exists(old));
        } finally {
            Files.delete(taken);
        }
    }

    private static List<String> withoutIdentity(Path note) throws IOException {
        return Files.readAllLines(note).stream()
                .filter(line -> !line.startsWith("made "))
                .toList();
    }

    @Test
    void aLinkThatAnotherEngineHasMadeInPlaceOfADeadOneStays() throws IOException {
        assumeTrue(Files.isWritable(Path.of("/dev")), "needs the right to make links in /dev");
        MappedDevice device = registry().create(NAME, "", OptionalInt.empty());
        NodeLinks alive = new NodeLinks(folder.resolve("alive"), log::add);
        Path killed = folder.resolve("killed");
        Path former = alive.make(device, NODE);
        new NodeLinks(killed, log::add).make(device, NODE);
        NodeLinks last = new NodeLinks(folder.resolve("last"), log::add);
        Path link = last.make(device, NODE);
        cleanUp(killed);
        alive.remove(device, former, NODE);
        assertTrue(exists(link));
        assertFalse(exists(killed.resolve("link-0")));
        last.remove(device, link, NODE);
        assertFalse(exists(link));
    }

    private static String run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        assertEquals(0, process.waitFor(), () -> String.join(" ", command) + ": " + said);
        return said;
    }

    /** A file below the folder that the kernel lists before the note of the link; null when it does so with none. */
    private static Path listedBeforeItsNote(Path attached, boolean filesFirst) throws IOException {
        for (String first : filesFirst ? List.of("device-", "link-") : List.of("link-", "device-")) {
            for (int minor = 0; minor < 16; minor++) {
                Files.createFile(attached.resolve(first + minor));
            }
        }
        List<Path> listed = Folders.entries(attached, "*");
        Path found = null;
        for (int minor = 0; minor < 16; minor++) {
            Path file = attached.resolve("device-" + minor);
            if (listed.indexOf(file) < listed.indexOf(attached.resolve("link-" + minor))) {
                found = file;
            }
        }
        for (Path each : listed) {
            if (!each.equals(found)) {
                Files.delete(each);
            }
        }
        return found;
    }

    @Test
    void whatWasFrozenIsThawedInWhateverOrderTheFolderIsRead() throws Exception {
        assumeTrue(Files.isWritable(Path.of("/dev/loop-control")), "needs the right to make loop devices");
        Path attached = attached("rwx------");
        Path first = listedBeforeItsNote(attached, true);
        Path file = first == null ? listedBeforeItsNote(attached, false) : first;
        assertNotNull(file);
        Path image = folder.resolve("image");
        try (FileChannel made = FileChannel.open(image, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            made.write(ByteBuffer.allocate(1), (8 << 20) - 1);
        }
        run("mkfs.ext4", "-q", image.toString());
        String point = Files.createDirectory(folder.resolve("mnt")).toString();
        run("mount", "--bind", image.toString(), file.toString());
        try {
            String node = run("losetup", "-f", "--show", file.toString());
            try {
                run("mount", node, point);
                try {
                    Path note = attached.resolve(file.getFileName().toString().replace("device", "link"));
                    Files.write(note, List.of("/dev/mapper/" + NAME, node, "frozen"));
                    run("fsfreeze", "-f", point);
                    cleanUp(attached);
                    // It would be busy.
                    run("fsfreeze", "-f", point);
                } finally {
                    run("fsfreeze", "-u", point);
                    run("umount", point);
                }
            } finally {
                run("losetup", "-d", node);
            }
        } finally {
            // Nothing is there any more unless it has failed.
            new ProcessBuilder("umount", file.toString()).start().waitFor();
        }
    }

    @Test
    void noLinkStaysOfADeviceWhoseRenameCouldNotBeNotedToItsEnd() throws IOException {
        assumeTrue(Files.isWritable(Path.of("/dev")), "needs the right to make links in /dev");
        DeviceRegistry registry = registry();
        MappedDevice device = registry.create(NAME, "", OptionalInt.empty());
        Path attached = folder.resolve("attached");
        Path fresh = attached.resolve("link-0.new");
        Path within = fresh.resolve("within");
        // No such node has udev told of it: the log hears of that when the new link has been made.
        NodeLinks links = new NodeLinks(attached, line -> {
            if (line.contains("uevent") && !exists(fresh)) {
                assertTrue(within.toFile().mkdirs());
            }
            log.add(line);
        });
        Path old = links.make(device, NODE);
        Files.delete(within);
        Files.delete(fresh);
        registry.rename(device, "", NAME + "-new");
        Path link = links.rename(device, old, NODE, false);
        assertEquals(NODE, Files.readSymbolicLink(link).toString());
        assertTrue(log.get(log.size() - 1).contains(old.toString()), log::toString);
        Files.delete(within);
        Files.delete(fresh);
        links.remove(device, link, NODE);
        assertFalse(exists(link));
        assertFalse(exists(old));
        assertFalse(exists(attached.resolve("link-0")));
    }

    @Test
    void whatElseIsWhereADevicesLinkWouldGoStaysAsItIs() throws IOException {
        assumeTrue(Files.isWritable(Path.of("/dev")), "needs the right to make links in /dev");
        MappedDevice device = registry().create(NAME, "", OptionalInt.empty());
        NodeLinks links = new NodeLinks(folder.resolve("attached"), log::add);
        Path link = links.make(device, NODE);
        assertEquals(NODE, Files.readSymbolicLink(link).toString());
        links.remove(device, link, NODE);
        assertFalse(exists(link));

        try {
            Files.writeString(link, "a file");
            assertTaken(links, device);
            links.remove(device, link, NODE);
            assertEquals("a file", Files.readString(link));
            Files.delete(link);

            Path within = Files.createFile(Files.createDirectory(link).resolve("within"));
            assertTaken(links, device);
            links.remove(device, link, NODE);
            assertTrue(exists(within));
            Files.delete(within);
            assertTaken(links, device);
            links.remove(device, link, NODE);
            assertTrue(Files.isDirectory(link, LinkOption.NOFOLLOW_LINKS), "an empty one, too");
            Files.delete(link);

            Path elsewhere = folder.resolve("nowhere");
            Files.createSymbolicLink(link, elsewhere);
            assertTaken(links, device);
            links.remove(device, link, NODE);
            assertEquals(elsewhere, Files.readSymbolicLink(link), "though it leads nowhere");
        } finally {
            Files.deleteIfExists(link.resolve("within"));
            Files.deleteIfExists(link);
        }
    }

    private void assertTaken(NodeLinks links, MappedDevice device) {
        ErrnoException e = assertThrows(ErrnoException.class, () -> links.make(device, NODE));
        assertTrue(e.is(Errno.EEXIST), e.toString());
        assertFalse(exists(folder.resolve("attached/link-0")), "no note of a link that was not made");
    }

    @Test
    void nothingButFilesOfOursIsDeletedAndNoLinkIsFollowedToAMount() throws IOException {
        Path attached = attached("rwx------");
        Path mounted = Files.createDirectory(folder.resolve("mounted"));
        try {
            Mounts.mount("none", mounted.toString(), "tmpfs", 0, "");
        } catch (ErrnoException e) {
            assumeTrue(false, "needs the right to mount: " + e.getMessage());
        }
        try {
            Path file = Files.createFile(mounted.resolve("file"));
            Files.createSymbolicLink(attached.resolve("device-1"), mounted);
            Files.createFile(attached.resolve("device-2"));
            Files.createFile(attached.resolve("notes.txt"));
            cleanUp(attached);
            assertTrue(exists(file), "still mounted");
            assertFalse(exists(attached.resolve("device-2")));
            assertTrue(exists(attached.resolve("notes.txt")));
        } finally {
            Mounts.unmount(mounted.toString(), Mounts.MNT_DETACH);
        }
    }
}
