// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

/** What a program can tell the page cache about a range of an open file or block device. */
public final class PageCache {
    /** s390x has a number of its own. */
    private static final int POSIX_FADV_DONTNEED = System.getProperty("os.arch").equals("s390x") ? 6 : 4;

    private PageCache() {}

    /** Lets it forget the clean pages of a range; length 0 means to the end. */
    public static void drop(int fd, long offsetBytes, long lengthBytes) throws ErrnoException {
        int errno = Libc.CALLS.posix_fadvise(fd, offsetBytes, lengthBytes, POSIX_FADV_DONTNEED);
        if (errno != 0) {
            throw new ErrnoException("posix_fadvise", errno);
        }
    }
}
