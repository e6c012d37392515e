// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.RawIo;

/**
 * A descriptor of {@code /dev/fuse}: one reader's way to the kernel's requests, and back. The reader uses it, and each request in the
 * background that is to be answered; the last of them closes it, since its number is another's then.
 */
final class FuseRequests {
    private final int fd;
    private final Runnable onGone;
    private final Consumer<IOException> onFailure;
    private final AtomicInteger users = new AtomicInteger(1);
    /** The reader's. */
    private boolean ended;

    /** Takes over {@code fd} for its first user; {@code onGone} is run when it is closed. */
    FuseRequests(int fd, Runnable onGone, Consumer<IOException> onFailure) {
        this.fd = fd;
        this.onGone = onGone;
        this.onFailure = onFailure;
    }

    /** Reads a request, if there is one or the descriptor waits for one; its bytes, or 0. */
    int receive(long address, int capacity) throws ErrnoException {
        while (true) {
            long n = RawIo.read(fd, address, capacity);
            int errno = (int) -n;
            if (n > 0) {
                return (int) n;
            }
            if (errno == Errno.EAGAIN.number()) {
                return 0;
            }
            if (errno == Errno.ENODEV.number() || n == 0) {
                ended = true;
                return 0;
            }
            // ENOENT: a request was interrupted before it was read.
            if (errno != Errno.EINTR.number() && errno != Errno.ENOENT.number()) {
                throw new ErrnoException("read of /dev/fuse", errno);
            }
        }
    }

    /** Whether the file was unmounted. */
    boolean hasEnded() {
        return ended;
    }

    void answer(long address, int bytes) throws ErrnoException {
        long n = RawIo.write(fd, address, bytes);
        // ENOENT: whoever asked was interrupted. ENODEV: unmounted meanwhile.
        if (n < 0 && n != -Errno.ENOENT.number() && n != -Errno.ENODEV.number()) {
            throw new ErrnoException("answer to /dev/fuse", (int) -n);
        }
    }

    /** Another user, who {@linkplain #leave leaves}. */
    void enter() {
        users.getAndIncrement();
    }

    void leave() {
        if (users.decrementAndGet() > 0) {
            return;
        }
        try {
            FileDescriptors.close(fd);
        } catch (IOException e) {
            onFailure.accept(e);
        } finally {
            onGone.run();
        }
    }

    /** For the log: an answer could not be sent. */
    void report(ErrnoException failure) {
        onFailure.accept(failure);
    }
}
