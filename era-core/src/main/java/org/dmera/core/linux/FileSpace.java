// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** fallocate(2), lseek(2) for holes, flock(2): what Java's file channels don't offer, on an open descriptor. */
public final class FileSpace {
    /** Don't change the file's size. */
    public static final int KEEP_SIZE = 1;
    /** Give the space back; the range reads as zeroes. Only with {@link #KEEP_SIZE}. */
    public static final int PUNCH_HOLE = 2;
    /** The range reads as zeroes and stays allocated. */
    public static final int ZERO_RANGE = 16;

    private static final int SEEK_DATA = 3;
    private static final int SEEK_HOLE = 4;
    private static final int LOCK_EX = 2;
    private static final int LOCK_NB = 4;

    private FileSpace() {}

    /** Changes how the range is allocated; {@code mode} of the constants here. EINTR is retried. */
    public static void fallocate(int fd, int mode, long offsetBytes, long lengthBytes) throws ErrnoException {
        while (Libc.CALLS.fallocate(fd, mode, offsetBytes, lengthBytes) < 0) {
            int errno = Libc.errno();
            if (errno != Errno.EINTR.number()) {
                throw new ErrnoException("fallocate of " + lengthBytes + " bytes at " + offsetBytes, errno);
            }
        }
    }

    /** Offset of the first data at or after {@code offsetBytes}, or −1 when only a hole is left. */
    public static long nextData(int fd, long offsetBytes) throws ErrnoException {
        return seek(fd, offsetBytes, SEEK_DATA);
    }

    /** Offset of the first hole at or after {@code offsetBytes} (the end of the file is one), or −1 past the end. */
    public static long nextHole(int fd, long offsetBytes) throws ErrnoException {
        return seek(fd, offsetBytes, SEEK_HOLE);
    }

    private static long seek(int fd, long offsetBytes, int whence) throws ErrnoException {
        long found = Libc.CALLS.lseek(fd, offsetBytes, whence);
        if (found >= 0) {
            return found;
        }
        int errno = Libc.errno();
        if (errno == Errno.ENXIO.number()) {
            return -1;
        }
        throw new ErrnoException("lseek for data or hole at " + offsetBytes, errno);
    }

    /** Takes the exclusive flock(2) lock of the open file; false when somebody else holds it. */
    public static boolean tryLock(int fd) throws ErrnoException {
        if (Libc.CALLS.flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        int errno = Libc.errno();
        if (errno == Errno.EAGAIN.number()) {
            return false;
        }
        throw new ErrnoException("flock", errno);
    }
}
