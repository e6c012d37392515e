// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** mknod(2). */
public final class DeviceNode {
    private static final int S_IFBLK = 0060000;

    private DeviceNode() {}

    /** Makes a block device node; {@code permissions} is cut by the umask. */
    public static void makeBlockDevice(String path, int permissions, int major, int minor) throws ErrnoException {
        // glibc's makedev: the low halves of major and minor, then the high ones.
        long dev = minor & 0xffL | (major & 0xfffL) << 8 | (minor & 0xfff00L) << 12 | (major & 0xfffff000L) << 32;
        if (Libc.CALLS.mknod(path, S_IFBLK | permissions, dev) < 0) {
            throw new ErrnoException("mknod " + path, Libc.errno());
        }
    }
}
