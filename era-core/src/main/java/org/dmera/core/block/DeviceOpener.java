// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileLocks;

/**
 * Opens metadata devices by path, and says what is wrong with a path in the words that users of thin-provisioning-tools
 * and their scripts know.
 */
public final class DeviceOpener {
    /** Bit mask of the file type in st_mode, and its value for a block device (inode(7)). */
    private static final int S_IFMT = 0170000;

    private static final int S_IFBLK = 0060000;

    private static final String SNAPSHOT_HINT =
            ". To read the metadata snapshot of a live device, use --metadata-snapshot";

    private DeviceOpener() {}

    /** How a block device is claimed. */
    public enum Claim {
        /**
         * O_EXCL: fails when the device is mounted or in use by device-mapper. A regular file must not be locked by an
         * engine.
         */
        EXCLUSIVE,
        /** None: for reading the held snapshot of a device that is in use. It is read past the page cache. */
        SHARED
    }

    /**
     * Opens an existing block device or regular file.
     *
     * @throws IOException whose message is one line, fit for the user: {@code Couldn't find input file},
     *     {@code Not a block device or regular file}, {@code Permission denied}, or that the device is in use
     */
    public static FileBlockDevice open(Path path, boolean writable, Claim claim) throws IOException {
        if (!Files.exists(path)) {
            throw new IOException((writable ? "Couldn't find output file " : "Couldn't find input file ") + path);
        }
        boolean blockDevice = isBlockDevice(path);
        if (!blockDevice && !Files.isRegularFile(path)) {
            throw new IOException("Not a block device or regular file: " + path);
        }
        if (!Files.isReadable(path) || writable && !Files.isWritable(path)) {
            throw new IOException("Permission denied: " + path);
        }
        if (!blockDevice) {
            if (claim == Claim.EXCLUSIVE) {
                requireUnlocked(path, writable);
            }
            return FileBlockDevice.open(path, writable);
        }
        if (claim == Claim.SHARED) {
            if (writable) {
                throw new IllegalArgumentException("a device that is in use is only read");
            }
            return FileBlockDevice.openLive(path);
        }
        int fd = claim(path, writable);
        return FileBlockDevice.open(path, writable, () -> FileDescriptors.close(fd));
    }

    /** Whether {@code path} leads to a block device. */
    public static boolean isBlockDevice(Path path) throws IOException {
        return ((int) Files.getAttribute(path, "unix:mode") & S_IFMT) == S_IFBLK;
    }

    /**
     * Refuses a regular file that an engine has in use: the engine holds the flock(2) lock of what it writes to.
     *
     * @param writable whether it is to be written, which no option allows
     */
    public static void requireUnlocked(Path path, boolean writable) throws IOException {
        if (FileLocks.heldElsewhere(path)) {
            throw new IOException(
                    "File " + path + " is in use (locked by an engine)" + (writable ? "" : SNAPSHOT_HINT));
        }
    }

    private static int claim(Path path, boolean writable) throws IOException {
        try {
            return FileDescriptors.open(
                    path.toString(),
                    FileDescriptors.O_EXCL | (writable ? FileDescriptors.O_RDWR : FileDescriptors.O_RDONLY));
        } catch (org.dmera.core.linux.ErrnoException e) {
            if (e.is(org.dmera.core.linux.Errno.EBUSY)) {
                throw new IOException(
                        "Device " + path + " is in use (mounted, or held by device-mapper)"
                                + (writable ? "" : SNAPSHOT_HINT),
                        e);
            }
            throw e;
        }
    }
}
