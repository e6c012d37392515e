// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** mount(2) and umount2(2). */
public final class Mounts {
    public static final long MS_NOSUID = 2;
    public static final long MS_NODEV = 4;
    /** Take it out of the tree now, and end it when nobody uses it any more. */
    public static final int MNT_DETACH = 2;
    /** Fail with EINVAL where the path is a symbolic link. */
    public static final int UMOUNT_NOFOLLOW = 8;

    private Mounts() {}

    /** Mounts; {@code data} is the file system's own options, comma-separated. */
    public static void mount(String source, String target, String type, long flags, String data) throws ErrnoException {
        if (Libc.CALLS.mount(source, target, type, flags, data) < 0) {
            throw new ErrnoException("mount " + type + " on " + target, Libc.errno());
        }
    }

    /** Unmounts what is mounted on {@code target}; EINVAL when nothing is. */
    public static void unmount(String target, int flags) throws ErrnoException {
        if (Libc.CALLS.umount2(target, flags) < 0) {
            throw new ErrnoException("umount " + target, Libc.errno());
        }
    }
}
