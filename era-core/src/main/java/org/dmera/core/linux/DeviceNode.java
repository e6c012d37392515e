// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Nodes of block devices: mknod(2), and what linux/fs.h has for them. */
public final class DeviceNode {
    private static final int S_IFBLK = 0060000;
    private static final long BLKFLSBUF = 0x1261;
    private static final long BLKROSET = 0x125D;

    private DeviceNode() {}

    /** Makes a block device node; {@code permissions} is cut by the umask. */
    public static void makeBlockDevice(String path, int permissions, int major, int minor) throws ErrnoException {
        // glibc's makedev: the low halves of major and minor, then the high ones.
        long dev = minor & 0xffL | (major & 0xfffL) << 8 | (minor & 0xfff00L) << 12 | (major & 0xfffff000L) << 32;
        if (Libc.CALLS.mknod(path, S_IFBLK | permissions, dev) < 0) {
            throw new ErrnoException("mknod " + path, Libc.errno());
        }
    }

    /**
     * Returns when all that was written to the block device {@code path}, open as {@code fd}, is on it: what its page cache
     * holds, and also what the file system holds that is mounted on it. fsync(2) alone does not reach the latter.
     */
    public static void sync(int fd, String path) throws ErrnoException {
        int result = Ioctl.call(fd, BLKFLSBUF, 0L);
        if (result < 0) {
            throw new ErrnoException("BLKFLSBUF of " + path, -result);
        }
        try {
            FileDescriptors.sync(fd);
        } catch (ErrnoException e) {
            throw new ErrnoException("fsync of " + path, e.errno());
        }
    }

    /**
     * Has write(2) on the block device {@code path}, open as {@code fd}, and on its partitions refused, or not any more. What their
     * page caches hold already can be written out meanwhile.
     */
    public static void setReadOnly(int fd, String path, boolean readOnly) throws ErrnoException {
        ByteBuffer flag = ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.nativeOrder());
        flag.putInt(0, readOnly ? 1 : 0);
        ErrnoException.check("BLKROSET of " + path, Ioctl.call(fd, BLKROSET, flag));
    }
}
