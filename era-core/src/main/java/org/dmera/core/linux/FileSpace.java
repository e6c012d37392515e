// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** fallocate(2), lseek(2) for holes, flock(2), fcntl(2) for locks: what Java's file channels don't offer, on an open descriptor. */
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
    private static final int F_OFD_SETLK = 37;
    private static final short F_RDLCK = 0;
    private static final short F_WRLCK = 1;

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

    /**
     * Takes a lock of the open file description (fcntl(2), F_OFD_SETLK) on one byte: it meets the locks of processes, which
     * Java takes, and is not lost when another descriptor of the file is closed.
     *
     * @param exclusive whether nobody else may have one; else nobody may have an exclusive one
     * @return false when somebody else's lock stands against it
     */
    public static boolean tryLockByte(int fd, long offsetBytes, boolean exclusive) throws ErrnoException {
        // struct flock: short l_type, l_whence; off_t l_start, l_len; pid_t l_pid (0 for this kind)
        ByteBuffer flock = ByteBuffer.allocateDirect(32).order(ByteOrder.nativeOrder());
        flock.putShort(0, exclusive ? F_WRLCK : F_RDLCK).putLong(8, offsetBytes).putLong(16, 1);
        int result;
        int errno;
        try {
            result = Libc.CALLS.fcntl(fd, F_OFD_SETLK, RawIo.address(flock));
            errno = Libc.errno();
        } finally {
            Reference.reachabilityFence(flock);
        }
        if (result == 0) {
            return true;
        }
        if (errno == Errno.EAGAIN.number() || errno == Errno.EACCES.number()) {
            return false;
        }
        throw new ErrnoException("lock of byte " + offsetBytes, errno);
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
