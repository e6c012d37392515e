// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.Mounts;
import org.dmera.core.linux.NativeText;
import org.dmera.core.linux.TrustedFolder;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Failures;

/**
 * The links with devices' names, in {@code /dev/mapper}, or in {@code /dev/era} where the kernel's own device-mapper lives
 * in the former; and the engine's folder with the files that are mounted over, and notes of the links, for whoever comes
 * after this process was killed.
 *
 * <p>The folder is this user's alone, mode 0700, in a folder that nobody else can write: who could put a note or a link there
 * would have the engine unmount and delete for him. For the same reason nothing is taken away but what the names in it and
 * the two folders in {@code /dev} allow.
 */
final class NodeLinks {
    private static final Pattern NOTE = Pattern.compile("link-[0-9]+");
    /** A note that a killed engine had not finished: what it was to replace still holds. */
    private static final Pattern UNFINISHED = Pattern.compile("link-[0-9]+\\.new");

    private static final Pattern FILE = Pattern.compile("device-[0-9]+");
    private static final String UBLK = "/dev/ublkb";

    private final Path folder;
    private final Consumer<String> log;

    NodeLinks(Path folder, Consumer<String> log) {
        this.folder = folder.toAbsolutePath();
        this.log = log;
    }

    /** Where the device's file is mounted. The folder is made for it. */
    Path file(MappedDevice device) throws IOException {
        makeFolder();
        return folder.resolve("device-" + device.minor());
    }

    private Path note(MappedDevice device) {
        return note(device.minor());
    }

    private Path note(int minor) {
        return folder.resolve("link-" + minor);
    }

    /** Makes the folder, for this user alone. */
    void makeFolder() throws IOException {
        if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
            Files.createDirectory(folder, Folders.PRIVATE);
        }
        requireOwn();
    }

    private void requireOwn() throws IOException {
        TrustedFolder.require(folder.getParent());
        if (!TrustedFolder.isPrivate(folder)) {
            throw new IOException(folder + " is left alone: expected a folder of this user's own, of mode 0700");
        }
    }

    /** Links the device's name to {@code node}. */
    Path make(MappedDevice device, String node) throws IOException {
        Path link = link(device.name(), node);
        write(device, List.of(link), node, false);
        Failures.takingBack(() -> Files.delete(note(device)), () -> Files.createSymbolicLink(link, Path.of(node)));
        return Failures.takingBack(() -> remove(device, link, node), () -> {
            write(device, List.of(link), node, false);
            tellUdev(node);
            return link;
        });
    }

    /**
     * Links the device's new name to {@code node}, and takes the old link away. The note names both links while there may be
     * both: whoever comes after a kill takes away what it names, and so does {@link #remove} with an old one that stays.
     */
    Path rename(MappedDevice device, Path old, String node, boolean frozen) throws IOException {
        Path link = link(device.name(), node);
        write(device, List.of(link, old), node, frozen);
        Failures.takingBack(
                () -> write(device, List.of(old), node, frozen), () -> Files.createSymbolicLink(link, Path.of(node)));
        tellUdev(node);
        try {
            LinkNote.read(note(device)).unlink(old, node);
            write(device, List.of(link), node, frozen);
        } catch (IOException e) {
            log.accept("the old link " + old + " of " + device + ": " + e.getMessage());
        }
        return link;
    }

    /** Has udev look at the node once more (sysfs, {@code uevent}): its rules tell by the link what it is. */
    private void tellUdev(String node) {
        Path uevent = Path.of("/sys/class/block", Path.of(node).getFileName().toString(), "uevent");
        try {
            Files.writeString(uevent, "change");
        } catch (IOException e) {
            // Where /sys is read-only, as in containers, udev does not run either.
            log.accept("attach: " + uevent + ": " + e.getMessage());
        }
    }

    /** Notes whether file systems on the node are frozen, so that their users don't wait for ever after a kill. */
    void noteFrozen(MappedDevice device, Path link, String node, boolean frozen) throws IOException {
        write(device, List.of(link), node, frozen);
    }

    /** The folder is made for it. */
    private void write(MappedDevice device, List<Path> ofNode, String node, boolean frozen) throws IOException {
        makeFolder();
        replace(note(device), LinkNote.of(ofNode, node, frozen).lines());
    }

    /** A note is replaced as a whole. */
    static void replace(Path note, List<String> lines) throws IOException {
        Path fresh = note.resolveSibling(note.getFileName() + ".new");
        Failures.takingBack(() -> Files.deleteIfExists(fresh), () -> {
            Files.write(fresh, lines, NativeText.CHARSET);
            return Files.move(fresh, note, StandardCopyOption.ATOMIC_MOVE);
        });
    }

    /** Takes the link, what else its note names, and the note away. */
    void remove(MappedDevice device, Path link, String node) throws IOException {
        Path file = note(device);
        LinkNote note = LinkNote.NONE;
        try {
            try {
                note = LinkNote.read(file);
            } finally {
                note.unlink(link, node);
            }
            note.unlinkAll();
        } finally {
            Files.deleteIfExists(file);
        }
    }

    /**
     * Unmounts what a killed engine left: its files answer nobody any more. And takes its links away: what they name may be
     * another's by now. Those that name a node of {@code lasting}, which are read before, stay. A failure is a line in the log.
     */
    void cleanUp(UblkNotes lasting) {
        if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        try {
            boolean notesCount = tighten();
            requireOwn();
            if (notesCount) {
                lasting.read();
            }
            // First the notes: what is frozen on a node is told to be ours by the file beneath, where that is mounted.
            forEach(folder, "link-*", log, file -> cleanUp(file, notesCount, lasting));
            forEach(folder, "device-*", log, NodeLinks::cleanUp);
        } catch (IOException e) {
            log.accept("attach: cleaning up " + folder + ": " + e.getMessage());
        }
    }

    /** Does {@code step} with each file; those with which it fails are told to the log. */
    static void forEach(Path folder, String glob, Consumer<String> log, Failures.Use<Path> step) throws IOException {
        for (Path file : Folders.entries(folder, glob)) {
            try {
                step.with(file);
            } catch (IOException e) {
                // The others' mounts and links must not stay for that, nor their users wait.
                log.accept("attach: cleaning up " + file + ": " + e.getMessage());
            }
        }
    }

    /** A folder that an earlier version made can be looked into by others; false when it is one. */
    private boolean tighten() throws IOException {
        if (TrustedFolder.isPrivate(folder)) {
            return true;
        }
        TrustedFolder.require(folder.getParent());
        if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
            TrustedFolder.require(folder);
            Files.setPosixFilePermissions(folder, Folders.PRIVATE.value());
        }
        return false;
    }

    private void cleanUp(Path file, boolean notesCount, UblkNotes lasting) throws IOException {
        String name = file.getFileName().toString();
        boolean isNote = NOTE.matcher(name).matches();
        if (isNote && notesCount) {
            LinkNote note = LinkNote.read(file);
            if (lasting.isLeft(note.node())) {
                return;
            }
            obey(note);
        }
        if ((isNote || UNFINISHED.matcher(name).matches()) && isFile(file)) {
            Files.delete(file);
        }
    }

    private static void cleanUp(Path file) throws IOException {
        if (!FILE.matcher(file.getFileName().toString()).matches()) {
            return;
        }
        try {
            Mounts.unmount(file.toString(), Mounts.MNT_DETACH | Mounts.UMOUNT_NOFOLLOW);
        } catch (ErrnoException e) {
            if (!e.is(Errno.EINVAL)) {
                throw e;
            }
        }
        if (isFile(file)) {
            Files.delete(file);
        }
    }

    static boolean isFile(Path path) {
        return Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS);
    }

    /** Thaws what the note's node has frozen, and deletes the links, if they still name the same node. */
    private void obey(LinkNote note) throws IOException {
        try {
            if (note.isFrozen() && isStillOurs(note)) {
                FrozenNode.thawLeft(note.node(), log);
            }
        } finally {
            note.unlinkAll();
        }
    }

    /** Whether a killed engine has left file systems frozen on the node of the device of that minor number. */
    boolean leftFrozen(int minor) throws IOException {
        return LinkNote.read(note(minor)).isFrozen();
    }

    /** Takes the link to {@code node} and the note of it away, which a killed engine has left for the device of that minor number. */
    void removeLeft(int minor, String node) throws IOException {
        LinkNote left = LinkNote.read(note(minor));
        if (left.node().equals(node)) {
            obey(left);
            Files.delete(note(minor));
        }
    }

    /**
     * Whether it still is what the killed engine set up: a file of this folder is beneath, or it is of the same connection of the
     * kernel's NBD client, which is there, though it is dead, for as long as something is mounted from it.
     */
    private boolean isStillOurs(LinkNote note) throws IOException {
        Path backing = LinkNote.sys(note.node()).resolve("loop/backing_file");
        return note.isOfThatConnection()
                || Files.exists(backing)
                        && Files.readString(backing, NativeText.CHARSET).startsWith(folder + "/device-");
    }

    /** Where the link to {@code node} goes; one of ours that leads nowhere is taken away before, or was of a former such node. */
    private static Path link(String name, String node) throws IOException {
        if (Set.of(LinkNote.CONTROL, ".", "..").contains(name) || name.indexOf('/') >= 0) {
            throw new ErrnoException("link for a device of the name " + name, Errno.EINVAL);
        }
        Path linkFolder = linkFolder();
        Path link = linkFolder.resolve(name);
        if (LinkNote.leadsTo(link, node)
                || Files.isSymbolicLink(link)
                        && isDead(Files.readSymbolicLink(link).toString())) {
            // A killed engine left it.
            Files.delete(link);
        }
        if (Files.exists(link, LinkOption.NOFOLLOW_LINKS)) {
            throw new ErrnoException(
                    "link " + link
                            + (Files.isSymbolicLink(link) ? ", which names " + Files.readSymbolicLink(link) : ""),
                    Errno.EEXIST);
        }
        return link;
    }

    private static Path linkFolder() throws IOException {
        boolean kernelHasIt = Files.readString(Path.of("/proc/misc")).contains(" device-mapper");
        Path linkFolder = kernelHasIt ? LinkNote.OWN : LinkNote.MAPPER;
        if (!Files.exists(linkFolder, LinkOption.NOFOLLOW_LINKS)) {
            Files.createDirectory(linkFolder);
            Files.setPosixFilePermissions(linkFolder, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        if (!Files.isDirectory(linkFolder, LinkOption.NOFOLLOW_LINKS)) {
            throw new ErrnoException("links to nodes in " + linkFolder, Errno.ENOTDIR);
        }
        return linkFolder;
    }

    /** Whether it is a device of a kind that our links name, and is not set up. What else there may be is none of ours. */
    private static boolean isDead(String node) {
        if (!LinkNote.isNode(node)) {
            return false;
        }
        Path sys = LinkNote.sys(node);
        return !Files.exists(Path.of(node))
                || !node.startsWith(UBLK)
                        && !Files.exists(sys.resolve("loop/backing_file"))
                        && !Files.exists(sys.resolve("pid"));
    }
}
