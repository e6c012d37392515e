// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** What a program can tell the page cache about a range of an open file or block device. */
public final class PageCache {
    /** s390x has a number of its own. */
    private static final int POSIX_FADV_DONTNEED = System.getProperty("os.arch").equals("s390x") ? 6 : 4;

    private static final int SYNC_FILE_RANGE_WAIT_BEFORE = 1;
    private static final int SYNC_FILE_RANGE_WRITE = 2;
    private static final int SYNC_FILE_RANGE_WAIT_AFTER = 4;

    private PageCache() {}

    /** Lets it forget the clean pages of a range; length 0 means to the end. */
    public static void drop(int fd, long offsetBytes, long lengthBytes) throws ErrnoException {
        int errno = Libc.CALLS.posix_fadvise(fd, offsetBytes, lengthBytes, POSIX_FADV_DONTNEED);
        if (errno != 0) {
            throw new ErrnoException("posix_fadvise", errno);
        }
    }

    /** Starts writing a range's dirty pages to the disk, and does not wait. This is no promise of durability. */
    public static void startWriteback(int fd, long offsetBytes, long lengthBytes) throws ErrnoException {
        sync(fd, offsetBytes, lengthBytes, SYNC_FILE_RANGE_WRITE);
    }

    /** Writes a range's dirty pages to the disk and waits, so that they can be dropped. No promise of durability. */
    public static void awaitWriteback(int fd, long offsetBytes, long lengthBytes) throws ErrnoException {
        sync(
                fd,
                offsetBytes,
                lengthBytes,
                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    }

    private static void sync(int fd, long offsetBytes, long lengthBytes, int flags) throws ErrnoException {
        if (Libc.CALLS.sync_file_range(fd, offsetBytes, lengthBytes, flags) < 0) {
            throw new ErrnoException("sync_file_range", Libc.errno());
        }
    }
}
