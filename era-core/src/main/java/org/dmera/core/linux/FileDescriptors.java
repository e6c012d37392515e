// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;

/** open(2), fsync(2), close(2): the flags that Java's own file API can't pass. */
public final class FileDescriptors {
    public static final int O_RDONLY = 0;
    public static final int O_RDWR = 2;
    /** On a block device: fail with EBUSY when it is mounted or otherwise claimed. */
    public static final int O_EXCL = 0200;

    /** Bit mask of the file type in st_mode, and its value for a character device (inode(7)). */
    private static final int S_IFMT = 0170000;

    private static final int S_IFCHR = 0020000;

    private static final int O_CREAT = 0100;
    private static final int O_TRUNC = 01000;
    public static final int O_CLOEXEC = 02000000;

    private static final int O_WRONLY = 1;
    private static final int O_APPEND = 02000;
    /** A read that would wait fails with EAGAIN. */
    public static final int O_NONBLOCK = 04000;

    private static final int O_TMPFILE = 020000000
            | (Set.of("aarch64", "arm", "ppc64le").contains(System.getProperty("os.arch")) ? 040000 : 0200000);

    private static final int TIOCGWINSZ = 0x5413;
    /** Of struct winsize: rows, columns, and the same in pixels, 16 bits each. */
    private static final int WINSIZE_BYTES = 8;

    private FileDescriptors() {}

    /** Opens {@code path}, with O_CLOEXEC added to {@code flags}; returns the descriptor. */
    public static int open(String path, int flags) throws ErrnoException {
        return open(path, flags, 0);
    }

    /** Opens {@code path} for reading and writing, empty, and makes it with {@code mode} where it is missing. */
    public static int create(String path, int mode) throws ErrnoException {
        return open(path, O_RDWR | O_CREAT | O_TRUNC, mode);
    }

    /** Opens {@code path} for writing at its end, wherever that is then, and makes it with {@code mode} where it is missing. */
    public static int append(String path, int mode) throws ErrnoException {
        return open(path, O_WRONLY | O_APPEND | O_CREAT, mode);
    }

    /**
     * Opens a file in {@code folder} for reading and writing that has no name at any time, and can't get one: it is gone when
     * this process is, however it ends.
     *
     * @throws ErrnoException EOPNOTSUPP, EISDIR or EINVAL where there are none of that kind
     */
    public static int unnamed(String folder, int mode) throws ErrnoException {
        return open(folder, O_RDWR | O_TMPFILE | O_EXCL, mode);
    }

    /** dup2(2): {@code target} is what {@code fd} is from now on, and what it was is closed. */
    public static void replace(int target, int fd) throws ErrnoException {
        while (Libc.CALLS.dup2(fd, target) < 0) {
            int errno = Libc.errno();
            if (errno != Errno.EINTR.number() && errno != Errno.EBUSY.number()) {
                throw new ErrnoException("dup2 of descriptor " + fd + " to " + target, errno);
            }
        }
    }

    private static int open(String path, int flags, int mode) throws ErrnoException {
        while (true) {
            int fd = Libc.CALLS.open(path, flags | O_CLOEXEC, mode);
            if (fd >= 0) {
                return fd;
            }
            int errno = Libc.errno();
            if (errno != Errno.EINTR.number()) {
                throw new ErrnoException("open " + path, errno);
            }
        }
    }

    /** fsync(2): returns when all that was written, whoever wrote it, is where it survives a power cut. */
    public static void sync(int fd) throws ErrnoException {
        while (Libc.CALLS.fsync(fd) < 0) {
            int errno = Libc.errno();
            if (errno != Errno.EINTR.number()) {
                throw new ErrnoException("fsync of descriptor " + fd, errno);
            }
        }
    }

    /** isatty(3): whether it is a terminal, whatever its name is. */
    public static boolean isTerminal(int fd) {
        try {
            // A glance that spares most runs the loading of the C library.
            int mode = (int) Files.getAttribute(Path.of("/proc/self/fd/" + fd), "unix:mode");
            if ((mode & S_IFMT) != S_IFCHR) {
                return false;
            }
        } catch (IOException e) {
            // Without /proc, or without the descriptor: the call fails and names the reason.
            return Libc.CALLS.isatty(fd) == 1;
        }
        return Libc.CALLS.isatty(fd) == 1;
    }

    /** How many columns the terminal has; 0 when it is none, or doesn't say. */
    public static int terminalColumns(int fd) {
        ByteBuffer size = ByteBuffer.allocate(WINSIZE_BYTES).order(ByteOrder.nativeOrder());
        return isTerminal(fd) && Ioctl.call(fd, TIOCGWINSZ, size) == 0 ? Short.toUnsignedInt(size.getShort(2)) : 0;
    }

    /** Closes a descriptor. Linux releases it even when it reports an error. */
    public static void close(int fd) throws ErrnoException {
        if (Libc.CALLS.close(fd) < 0) {
            throw new ErrnoException("close descriptor " + fd, Libc.errno());
        }
    }
}
