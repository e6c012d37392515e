// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.Closeable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessMode;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.file.InUseException;
import org.dmera.core.linux.DeviceNumber;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;

/**
 * Opens metadata devices by path, and says what is wrong with a path in the words that users of thin-provisioning-tools
 * and their scripts know.
 */
public final class DeviceOpener {
    private DeviceOpener() {}

    /** How a block device is claimed. */
    public enum Claim {
        /**
         * O_EXCL: fails when the device is mounted or in use by device-mapper. A regular file is claimed, so that no engine and
         * no other tool writes it meanwhile, or uses it at all when it is opened for writing ({@link org.dmera.core.file.FileClaim}).
         */
        EXCLUSIVE,
        /**
         * As {@link #EXCLUSIVE}, for reading in a process whose other parts open and close the file as they like: of a regular file
         * they would take that claim away.
         */
        LASTING,
        /** None: for reading the held snapshot of a device that is in use. It is read past the page cache. */
        SHARED
    }

    /**
     * Opens an existing block device or regular file.
     *
     * @throws IOException whose message is one line, fit for the user: {@code Couldn't find input file},
     *     {@code Not a block device or regular file}, {@code Permission denied}, {@code Read-only file system}, or that the
     *     device is in use
     */
    public static FileBlockDevice open(Path path, boolean writable, Claim claim) throws IOException {
        FileIdentity identity = FileIdentity.ofExisting(path);
        if (identity == null) {
            throw new IOException((writable ? "Couldn't find output file " : "Couldn't find input file ") + path);
        }
        if (!identity.isBlockDevice() && !identity.isRegularFile()) {
            throw new IOException("Not a block device or regular file: " + path);
        }
        FileErrors.requireAccess(path, AccessMode.READ);
        if (writable) {
            FileErrors.requireAccess(path, AccessMode.WRITE);
        }
        if (claim != Claim.EXCLUSIVE && writable) {
            throw new IllegalArgumentException("only EXCLUSIVE is for writing");
        }
        if (!identity.isBlockDevice()) {
            return claim == Claim.SHARED
                    ? FileBlockDevice.open(path, false)
                    : FileBlockDevice.openClaimed(path, writable, claim == Claim.LASTING, identity);
        }
        if (claim == Claim.SHARED) {
            return FileBlockDevice.openLive(path);
        }
        return FileBlockDevice.open(path, writable, claim(path, writable));
    }

    /** Whether {@code path} leads to a block device. */
    public static boolean isBlockDevice(Path path) throws IOException {
        return FileIdentity.of(path).isBlockDevice();
    }

    /** Refuses a block device that takes no writes: it may be opened for them nevertheless. */
    public static void requireWritable(Path device) throws IOException {
        Path readOnly = DeviceNumber.sysfs(device).resolve("ro");
        if (Files.isReadable(readOnly)
                && Files.readString(readOnly, StandardCharsets.US_ASCII).startsWith("1")) {
            throw new IOException("Device " + device + " is read-only");
        }
    }

    /**
     * Keeps a block device for the caller until what is returned is closed.
     *
     * @throws IOException in one line, when it is mounted or held by somebody else
     */
    public static Closeable claim(Path device, boolean writable) throws IOException {
        if (writable) {
            requireWritable(device);
        }
        int fd;
        try {
            fd = FileDescriptors.open(
                    device.toString(),
                    FileDescriptors.O_EXCL | (writable ? FileDescriptors.O_RDWR : FileDescriptors.O_RDONLY));
        } catch (ErrnoException e) {
            if (e.is(Errno.EBUSY)) {
                throw new InUseException(
                        "Device " + device + " is in use (mounted, or held by device-mapper)", !writable, e);
            }
            throw e;
        }
        return () -> FileDescriptors.close(fd);
    }
}
