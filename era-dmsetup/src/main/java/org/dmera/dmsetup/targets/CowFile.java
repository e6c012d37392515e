// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;

/**
 * The sparse file that keeps what a view's device held before it was written. It has no name: its space is free when the
 * engine ends, however it ends, and nobody else can open it. What was never written to it reads as zeroes. No
 * write waits for a sync, for no view outlives its engine.
 *
 * @param folder where it was made
 */
public record CowFile(Path folder, FileChannel channel) implements Closeable {
    /**
     * Makes one in a folder, for up to so many bytes.
     *
     * @throws IOException when that can't be: no such folder, no room, no permission
     * @throws ErrnoException EFBIG where no file can be so large, as on ext4 from 16 TiB on
     */
    public static CowFile create(Path folder, long mostBytes) throws IOException {
        int fd;
        try {
            fd = FileDescriptors.unnamed(folder.toString(), 0600);
        } catch (ErrnoException e) {
            // Overlays of older kernels, and network file systems, take no file without a name.
            if (!e.is(Errno.EOPNOTSUPP) && !e.is(Errno.EISDIR) && !e.is(Errno.EINVAL)) {
                throw e;
            }
            fd = unlinked(folder);
        }
        try {
            requireAddressable(fd, folder, mostBytes);
            return new CowFile(
                    folder,
                    FileChannel.open(
                            Path.of("/proc/self/fd/" + fd), StandardOpenOption.READ, StandardOpenOption.WRITE));
        } finally {
            FileDescriptors.close(fd);
        }
    }

    /** The last byte can be written, if there is room: a view is not to be lost by the first write to its device's end. */
    private static void requireAddressable(int fd, Path folder, long bytes) throws ErrnoException {
        try {
            FileSpace.fallocate(fd, FileSpace.PUNCH_HOLE | FileSpace.KEEP_SIZE, bytes - 1, 1);
        } catch (ErrnoException e) {
            if (e.is(Errno.EFBIG)) {
                throw new ErrnoException("a file of up to " + bytes + " bytes in " + folder, Errno.EFBIG);
            }
            // It can be, though holes can't be made.
        }
    }

    /** A kill before the name is taken away leaves an empty file. */
    private static int unlinked(Path folder) throws IOException {
        Path file = folder.resolve("era-view-" + UUID.randomUUID() + ".cow");
        int fd = FileDescriptors.create(file.toString(), 0600);
        return Failures.takingBack(() -> FileDescriptors.close(fd), () -> {
            Files.delete(file);
            return fd;
        });
    }

    /** Writes all of {@code src}; the writers of one range take turns. */
    void write(long offsetBytes, ByteBuffer src) throws IOException {
        long at = offsetBytes;
        while (src.hasRemaining()) {
            at += channel.write(src, at);
        }
    }

    /** Fills {@code dst}. */
    void read(long offsetBytes, ByteBuffer dst) throws IOException {
        long at = offsetBytes;
        while (dst.hasRemaining()) {
            int n = channel.read(dst, at);
            if (n < 0) {
                // A hole at the end.
                while (dst.hasRemaining()) {
                    dst.put((byte) 0);
                }
                return;
            }
            at += n;
        }
    }

    /** Has the system tell of what it could not write after all. */
    void sync() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
