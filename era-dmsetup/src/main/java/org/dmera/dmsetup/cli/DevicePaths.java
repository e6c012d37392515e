// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.ioctl.DevNumber;

/** Paths instead of names: a device's node, or any link to it, such as LVM's and udev's. */
final class DevicePaths {
    private static final Path MAPPER_FOLDER = Path.of("/dev/mapper");

    private DevicePaths() {}

    /** The mapped device's name; null when the path is of none. */
    static String nameOf(String path) throws IOException {
        Path node = NativeText.path(path);
        if (MAPPER_FOLDER.equals(node.getParent())) {
            // An engine's device needs no node to be called so.
            return node.getFileName().toString();
        }
        long dev = number(node);
        if (dev < 0) {
            return null;
        }
        String inMapper = nameInMapperFolder(dev);
        if (inMapper != null) {
            return inMapper;
        }
        // Without udev, or before it.
        return kernelName(dev);
    }

    /** What the kernel has called a mapped device; null when that number is of none. */
    static String kernelName(long dev) throws IOException {
        Path name = Path.of("/sys/dev/block", DevNumber.text(dev), "dm", "name");
        try {
            String line = Files.readString(name, NativeText.CHARSET);
            return line.endsWith("\n") ? line.substring(0, line.length() - 1) : line;
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    private static String nameInMapperFolder(long dev) throws IOException {
        if (!Files.isDirectory(MAPPER_FOLDER)) {
            return null;
        }
        for (Path entry : Folders.entries(MAPPER_FOLDER, "*")) {
            if (number(entry) == dev) {
                return entry.getFileName().toString();
            }
        }
        return null;
    }

    /** The number of the block device that the path leads to; −1 when it leads to none. */
    static long number(Path node) throws IOException {
        try {
            // st_rdev and the kernel's huge encoding agree for majors below 4096, which is all that Linux has.
            return DeviceOpener.isBlockDevice(node) ? (long) Files.getAttribute(node, "unix:rdev") : -1;
        } catch (NoSuchFileException e) {
            return -1;
        }
    }
}
