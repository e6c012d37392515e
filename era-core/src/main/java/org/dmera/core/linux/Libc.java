// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;

/**
 * The C library. Loading it costs more than the whole run of most tools, so this class is touched only by a caller that
 * can't do without.
 */
final class Libc {
    /**
     * The calls, with the C library's own names and argument order. Variadic ones are declared as they are called. Public
     * because jnr-ffi implements it from a class loader of its own.
     */
    public interface Calls {
        int open(String path, int flags, int mode);

        int close(int fd);

        int isatty(int fd);

        int fsync(int fd);

        int ioctl(int fd, long request, jnr.ffi.Pointer argument);

        /** With an argument that is a number, not a pointer. */
        int ioctl(int fd, long request, long argument);

        int mount(String source, String target, String type, long flags, String data);

        int umount2(String target, int flags);

        /** {@code address} points at memory of at least {@code count} bytes. */
        long read(int fd, long address, long count);

        long write(int fd, long address, long count);

        long pwrite(int fd, long address, long count, long offset);

        int poll(long pollfds, long count, int timeoutMillis);

        int socket(int domain, int type, int protocol);

        int connect(int fd, long address, int addressBytes);

        int getsockname(int fd, long address, long addressBytes);

        int getsockopt(int fd, int level, int option, long value, long valueBytes);

        int setsockopt(int fd, int level, int option, long value, int valueBytes);

        int flock(int fd, int operation);

        /** With an argument that is a pointer, as the commands that lock have. */
        int fcntl(int fd, int command, long argument);

        int mknod(String path, int mode, long dev);

        int fallocate(int fd, int mode, long offset, long length);

        long lseek(int fd, long offset, int whence);

        int posix_fadvise(int fd, long offset, long length, int advice);

        int unshare(int flags);

        int rename(String from, String to);

        int unlink(String path);

        int dup2(int fd, int target);

        int malloc_trim(long pad);

        int prctl(int option, long a, long b, long c, long d);

        /** For system calls that the C library has no function for; those of fewer arguments ignore the rest. */
        long syscall(long number, long a, long b, long c, long d, long e, long f);

        /** With an argument more than it has: jnr-ffi loses the sixth of six. */
        long mmap(long address, long bytes, long protection, long flags, long fd, long offset, long nothing);

        int munmap(long address, long bytes);

        int eventfd(int value, int flags);

        /** With SIG_IGN for a handler, which is a number. */
        long signal(int signal, long handler);
    }

    static final Calls CALLS = LibraryLoader.create(Calls.class).load("c");
    static final Runtime RUNTIME = Runtime.getRuntime(CALLS);

    private Libc() {}

    static int errno() {
        return RUNTIME.getLastError();
    }
}
