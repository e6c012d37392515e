// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileNames;
import org.dmera.core.linux.RawIo;

/**
 * The files of a state folder, each step a system call. They are reached through the open folder, not by its path: a folder
 * that was made anew under the same path belongs to somebody else.
 */
class StateFiles {
    private final Path folder;
    private final int fd;

    /** The files of {@code folder}, which is there. */
    StateFiles(Path folder) throws IOException {
        this.folder = folder;
        this.fd = FileDescriptors.open(folder.toString(), FileDescriptors.O_RDONLY);
    }

    /** The open folder, or a file in it. */
    Path path(String name) {
        return Path.of("/proc/self/fd/" + fd, name);
    }

    /** Throws when the path of the folder leads elsewhere: what is written here would not be found after a restart. */
    void requireInPlace() throws IOException {
        boolean same;
        try {
            same = Files.isSameFile(folder, path(""));
        } catch (NoSuchFileException e) {
            same = false;
        }
        if (!same) {
            throw new ErrnoException(
                    "state folder " + folder + " was removed or replaced while the engine ran", Errno.ENOENT);
        }
    }

    /** Makes an empty file, replacing what has the name; returns its descriptor. */
    int create(String name) throws IOException {
        return FileDescriptors.create(path(name).toString(), 0600);
    }

    /** Not by a channel, whose exceptions don't show that it is space that is missing. */
    void write(int file, byte[] text) throws IOException {
        ByteBuffer direct = ByteBuffer.allocateDirect(text.length).put(text).flip();
        try {
            while (direct.hasRemaining()) {
                int at = direct.position();
                long n = RawIo.pwrite(file, RawIo.address(direct) + at, direct.remaining(), at);
                if (n <= 0 && n != -Errno.EINTR.number()) {
                    throw new ErrnoException("write in " + folder, (int) -n);
                }
                direct.position(at + (int) Math.max(0, n));
            }
        } finally {
            Reference.reachabilityFence(direct);
        }
    }

    void sync(int file) throws IOException {
        FileDescriptors.sync(file);
    }

    void close(int file) throws IOException {
        FileDescriptors.close(file);
    }

    void rename(String from, String to) throws IOException {
        FileNames.rename(path(from).toString(), path(to).toString());
    }

    void unlink(String name) throws IOException {
        FileNames.unlink(path(name).toString());
    }

    /** Makes the names that were given and taken away durable. */
    void syncFolder() throws IOException {
        FileDescriptors.sync(fd);
    }

    void closeFolder() throws IOException {
        FileDescriptors.close(fd);
    }
}
