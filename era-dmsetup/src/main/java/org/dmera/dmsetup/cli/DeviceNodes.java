// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.DeviceNode;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmFlags;

/**
 * The nodes of the kernel's mapped devices in {@code /dev/mapper}. Where udev runs it makes them, and we wait until it has;
 * where it does not, or was told to keep out, we make them. An engine's devices have none.
 *
 * <p>Only the nodes of block devices, and links to such nodes as udev and engines make them, are ever replaced or taken away:
 * what else has a device's name there, {@code control} before all, is none of ours.
 *
 * <p>No udev cookie is used: what it would report (the event has been handled) we see from the node itself.
 */
class DeviceNodes {
    private static final Path MAPPER = Path.of("/dev/mapper");
    private static final Path UDEV_CONTROL = Path.of("/run/udev/control");
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(10);
    private static final long LOOK_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(5);
    private static final int KEEP_OUT = DmFlags.UDEV_DISABLE_DM_RULES | DmFlags.UDEV_DISABLE_SUBSYSTEM_RULES;
    /** As libdevmapper is built by the distributions: the group may read and write. */
    private static final int DEFAULT_MODE = 0660;

    private static final String DEFAULT_GROUP = "disk";

    private DeviceNodes() {}

    static DeviceNodes of(Control control, Switches switches) {
        return control.isKernel() ? ofKernel(MAPPER, switches) : new DeviceNodes();
    }

    /** Those in {@code folder}. */
    static DeviceNodes ofKernel(Path folder, Switches switches) {
        return new OfKernel(folder, switches);
    }

    /** The major number of the channel's devices. */
    int major() throws IOException {
        return DeviceRegistry.LOCAL_MAJOR;
    }

    /** The flags for udev's rules in a call that makes a device. */
    int flagsForCreate() {
        return KEEP_OUT;
    }

    /** The flags for udev's rules in a call that resumes, renames or removes one. */
    final int flagsForChange() {
        return flagsForCreate() | DmFlags.UDEV_PRIMARY_SOURCE;
    }

    /** The device has come, or goes on. */
    void added(String name, long dev) throws IOException {}

    /** The device has gone. */
    void removed(String name) throws IOException {}

    /** There are the devices of these names and no others. */
    void only(Set<String> names) throws IOException {}

    /** The device has another name. */
    void renamed(String oldName, String newName) throws IOException {}

    private static final class OfKernel extends DeviceNodes {
        /** What links in the folder lead to: udev's are relative. */
        private static final Pattern LINKED = Pattern.compile("(\\.\\.|/dev)/(dm-|loop|nbd)[0-9]+");

        private final Path folder;
        private final Switches switches;
        private final boolean udevMakesThem;
        private final boolean wait;

        OfKernel(Path folder, Switches switches) {
            this.folder = folder;
            this.switches = switches;
            udevMakesThem = !switches.has(Switch.NOUDEVRULES)
                    && System.getenv("DM_DISABLE_UDEV") == null
                    && Files.exists(UDEV_CONTROL);
            wait = udevMakesThem && !switches.has(Switch.NOUDEVSYNC);
        }

        @Override
        int flagsForCreate() {
            return udevMakesThem ? 0 : KEEP_OUT;
        }

        @Override
        void added(String name, long dev) throws IOException {
            Path node = folder.resolve(name);
            if (isUdevs(node, dev) || DevicePaths.number(node) == dev) {
                return;
            }
            makeRoom(node);
            int mode = switches.has(Switch.MODE) ? switches.mode() : DEFAULT_MODE;
            DeviceNode.makeBlockDevice(node.toString(), mode, DevNumber.major(dev), DevNumber.minor(dev));
            Files.setAttribute(node, "unix:mode", mode);
            if (switches.has(Switch.UID)) {
                Files.setAttribute(node, "unix:uid", switches.number(Switch.UID));
            }
            if (switches.has(Switch.GID)) {
                Files.setAttribute(node, "unix:gid", switches.number(Switch.GID));
            } else {
                giveToGroup(node);
            }
        }

        private void giveToGroup(Path node) throws IOException {
            try {
                Files.getFileAttributeView(node, PosixFileAttributeView.class)
                        .setGroup(node.getFileSystem()
                                .getUserPrincipalLookupService()
                                .lookupPrincipalByGroupName(DEFAULT_GROUP));
            } catch (UserPrincipalNotFoundException e) {
                // A system without that group: root's alone, unless the user has said otherwise.
                if (!switches.has(Switch.MODE)) {
                    Files.setAttribute(node, "unix:mode", 0600);
                }
            }
        }

        @Override
        void removed(String name) throws IOException {
            Path node = folder.resolve(name);
            if (isUdevs(node, -1)) {
                return;
            }
            if (isOurs(node)) {
                Files.deleteIfExists(node);
            }
        }

        @Override
        void only(Set<String> names) throws IOException {
            int mapper = major();
            for (Path entry : Folders.entries(folder, "*")) {
                // Links are udev's or an engine's, and the control node is no block device.
                boolean stale = !Files.isSymbolicLink(entry)
                        && DeviceOpener.isBlockDevice(entry)
                        && DevNumber.major((long) Files.getAttribute(entry, "unix:rdev")) == mapper
                        && !names.contains(entry.getFileName().toString());
                if (stale) {
                    Files.delete(entry);
                }
            }
        }

        /** −1 when the kernel has no mapped devices. */
        @Override
        int major() throws IOException {
            for (String line : Files.readAllLines(Path.of("/proc/devices"))) {
                if (line.endsWith(" device-mapper")) {
                    return Integer.parseInt(line.trim().substring(0, line.trim().indexOf(' ')));
                }
            }
            return -1;
        }

        @Override
        void renamed(String oldName, String newName) throws IOException {
            Path node = folder.resolve(oldName);
            if (isUdevs(node, -1)) {
                return;
            }
            if (isOurs(node)) {
                Path renamed = folder.resolve(newName);
                makeRoom(renamed);
                Files.move(node, renamed);
            }
        }

        /** Whether udev has taken care of the node, or is left alone with it. */
        private boolean isUdevs(Path node, long dev) throws IOException {
            return wait ? await(node, dev) : udevMakesThem;
        }

        /** Waits until the node is for {@code dev}, or for −1 until it is gone; false when that takes too long. */
        private static boolean await(Path node, long dev) throws IOException {
            long deadline = System.nanoTime() + PATIENCE_NANOS;
            while (System.nanoTime() < deadline) {
                if (dev < 0 ? !Files.exists(node, LinkOption.NOFOLLOW_LINKS) : DevicePaths.number(node) == dev) {
                    return true;
                }
                LockSupport.parkNanos(LOOK_AGAIN_NANOS);
            }
            return false;
        }

        /** Whether it is, without following a link, a block device's node or a link to one. */
        private static boolean isOurs(Path path) throws IOException {
            if (Files.isSymbolicLink(path)) {
                return LINKED.matcher(Files.readSymbolicLink(path).toString()).matches();
            }
            return Files.exists(path, LinkOption.NOFOLLOW_LINKS) && DeviceOpener.isBlockDevice(path);
        }

        /** Takes a node away that is in the way. */
        private static void makeRoom(Path node) throws IOException {
            if (!Files.exists(node, LinkOption.NOFOLLOW_LINKS)) {
                return;
            }
            if (!isOurs(node)) {
                throw new IOException("A non-block device file at '" + node + "' is already present");
            }
            Files.delete(node);
        }
    }
}
