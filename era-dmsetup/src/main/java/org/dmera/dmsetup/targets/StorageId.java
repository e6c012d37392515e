// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;

/**
 * What a file or a block device is, by whatever path it was reached: a file its file system and inode, a block device its
 * number. The one answer to "is that the same?".
 *
 * @param isBlock whether it is a block device
 * @param device the number of the block device, or of the file system, as {@link DevNumber} encodes it, which is how stat(2) has it
 * @param inode the file's, 0 for a block device
 */
public record StorageId(boolean isBlock, long device, long inode) {
    private static final int S_IFMT = 0170000;
    private static final int S_IFBLK = 0060000;
    private static final int S_IFREG = 0100000;

    /**
     * What {@code path} leads to.
     *
     * @throws ErrnoException ENOENT when there is nothing, ENODEV when it is neither block device nor regular file
     */
    public static StorageId of(Path path) throws IOException {
        if (!Files.exists(path)) {
            throw new ErrnoException("open " + path, Errno.ENOENT);
        }
        Map<String, Object> stat = Files.readAttributes(path, "unix:mode,dev,ino,rdev");
        int type = (int) stat.get("mode") & S_IFMT;
        if (type == S_IFBLK) {
            return new StorageId(true, (long) stat.get("rdev"), 0);
        }
        if (type == S_IFREG) {
            return new StorageId(false, (long) stat.get("dev"), (long) stat.get("ino"));
        }
        throw new ErrnoException("open " + path + ", neither a block device nor a regular file", Errno.ENODEV);
    }

    /**
     * What it is besides a number that a boot may change: a file's inode, the uuid of a mapped device of the kernel's, the file
     * of a loop device; empty for other block devices. Without white space.
     */
    public String nature() {
        return isBlock ? BlockDevices.nature(this) : "inode." + inode;
    }

    /** The device number as {@code major:minor}. */
    String deviceText() {
        return DevNumber.text(device);
    }

    @Override
    public String toString() {
        return isBlock ? "block device " + deviceText() : "inode " + inode + " of " + deviceText();
    }
}
