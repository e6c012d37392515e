// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import org.dmera.core.linux.DeviceNumber;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.NativeText;

/**
 * What a path leads to, whatever it is called: a block device by its number, anything else by file system and inode.
 * Two paths with equal identities are one file.
 */
public final class FileIdentity {
    /** Bits of st_mode, and the values of those for kinds of files (inode(7)). */
    private static final int S_IFMT = 0170000;

    private static final int S_IFBLK = 0060000;
    private static final int S_IFREG = 0100000;
    private static final int LOOP_MAJOR = 7;

    private final int type;
    /** Number of the file system; of a block device 0. */
    private final long fileSystem;
    /** Inode; of a block device its number. */
    private final long number;

    private FileIdentity(int type, long fileSystem, long number) {
        this.type = type;
        this.fileSystem = fileSystem;
        this.number = number;
    }

    /**
     * Follows links.
     *
     * @throws NoSuchFileException when nothing is there
     */
    public static FileIdentity of(Path path) throws IOException {
        Map<String, Object> stat = Files.readAttributes(path, "unix:mode,dev,ino,rdev");
        int type = (int) stat.get("mode") & S_IFMT;
        return type == S_IFBLK
                ? new FileIdentity(type, 0, (long) stat.get("rdev"))
                : new FileIdentity(type, (long) stat.get("dev"), (long) stat.get("ino"));
    }

    /** As {@link #of}, or null when nothing is there. Where that can't be seen, there may be something. */
    public static FileIdentity ofExisting(Path path) throws IOException {
        try {
            return of(path);
        } catch (NoSuchFileException e) {
            return null;
        } catch (FileSystemException e) {
            if (Errno.ENOTDIR.text().equals(e.getReason())) {
                // A file where a folder would have to be.
                return null;
            }
            throw e;
        }
    }

    public boolean isBlockDevice() {
        return type == S_IFBLK;
    }

    public boolean isRegularFile() {
        return type == S_IFREG;
    }

    /**
     * Whether to write to one is to write to the other: they are the same, or one is a loop device over the other.
     *
     * @param other must not be null
     */
    public boolean overlaps(FileIdentity other) throws IOException {
        return equals(other) || other.equals(behindLoop()) || equals(other.behindLoop());
    }

    /** What a loop device is over, as far as it can be found; else null. */
    private FileIdentity behindLoop() throws IOException {
        if (!isBlockDevice() || DeviceNumber.major(number) != LOOP_MAJOR) {
            return null;
        }
        Path told = Path.of("/sys/dev/block/" + LOOP_MAJOR + ":" + DeviceNumber.minor(number) + "/loop/backing_file");
        if (!Files.isReadable(told)) {
            return null;
        }
        String file = NativeText.of(Files.readAllBytes(told));
        try {
            return ofExisting(NativeText.path(file.endsWith("\n") ? file.substring(0, file.length() - 1) : file));
        } catch (FileSystemException e) {
            // Somewhere where we may not look.
            return null;
        }
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FileIdentity that
                && type == that.type
                && fileSystem == that.fileSystem
                && number == that.number;
    }

    @Override
    public int hashCode() {
        return Long.hashCode(31 * (31 * fileSystem + number) + type);
    }

    @Override
    public String toString() {
        return isBlockDevice()
                ? "device " + DeviceNumber.major(number) + ":" + DeviceNumber.minor(number)
                : "inode " + number + " of file system " + fileSystem;
    }
}
