// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.concurrent.TimeUnit;
import org.dmera.core.block.DeviceOpener;
import org.dmera.core.file.FileClaim;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.file.Folders;
import org.dmera.core.file.Links;
import org.dmera.core.file.Sha256;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.FileSpace;
import org.dmera.core.linux.PageCache;
import org.dmera.tools.backup.copy.Zeroes;

/**
 * The file or block device that streams are applied to. A block device is claimed (it must not be mounted); either kind
 * is locked against a second run. Writes go through the page cache, and {@link #flush} drops them from it.
 */
public final class Target implements Closeable {
    private static final int ZEROES_BYTES = 1 << 20;
    private static final int MARKED_BYTES = 1 << 20;

    private final Path path;
    private final boolean device;
    private final FileChannel channel;
    private final int fd;
    private final ByteBuffer zeroes = ByteBuffer.allocateDirect(ZEROES_BYTES);
    private volatile boolean zeroCallFails;

    private Target(Path path, boolean device, FileChannel channel, int fd) {
        this.path = path;
        this.device = device;
        this.channel = channel;
        this.fd = fd;
    }

    /**
     * Opens the target, and creates a file that is not there.
     *
     * @param path a block device or regular file
     * @return the target, to be closed
     * @throws IOException in one line, when it is in use or can't be written
     */
    public static Target open(Path path) throws IOException {
        FileIdentity there = FileIdentity.ofExisting(path);
        boolean device = there != null && there.isBlockDevice();
        if (there != null && !device && !there.isRegularFile()) {
            throw new IOException("Not a block device or regular file: " + path);
        }
        if (there != null) {
            FileErrors.requireAccess(path, AccessMode.WRITE);
        }
        if (device) {
            DeviceOpener.requireWritable(path);
        }
        if (there == null) {
            Links.requireFolderForFiles(Links.follow(path));
        }
        while (true) {
            Target opened = open(path, device, there == null);
            // Whoever had the file may have put another one in its place before letting go.
            if (there == null || FileClaim.isStill(there, path)) {
                return opened;
            }
            opened.close();
            there = FileIdentity.of(path);
            if (there.isBlockDevice() != device) {
                throw new IOException(path + ": another file took its place meanwhile");
            }
        }
    }

    private static Target open(Path path, boolean device, boolean isNew) throws IOException {
        FileChannel channel;
        try {
            channel = FileChannel.open(
                    path, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
        } catch (java.nio.file.NoSuchFileException e) {
            throw new IOException("Couldn't create " + path + ": no such folder", e);
        }
        try {
            if (!FileClaim.takeForWriting(channel, path)) {
                throw new IOException(
                        !device && FileClaim.isEngines(path)
                                ? "File " + path + " is in use (locked by an engine)"
                                : path + ": another era_apply is at work on it, or another program has it locked");
            }
            if (isNew) {
                // Its state, which may lie elsewhere, is going to say what it holds.
                Folders.syncFolderOf(Links.follow(path));
            }
            int fd = FileDescriptors.open(
                    path.toString(), FileDescriptors.O_RDWR | (device ? FileDescriptors.O_EXCL : 0));
            return new Target(path, device, channel, fd);
        } catch (ErrnoException e) {
            channel.close();
            throw e.is(Errno.EBUSY)
                    ? new IOException("Device " + path + " is in use (mounted, or held by device-mapper)", e)
                    : e;
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /** {@return whether it is a block device} */
    public boolean isDevice() {
        return device;
    }

    /**
     * {@return its size in bytes}
     *
     * @throws IOException when it can't be asked for
     */
    public long sizeBytes() throws IOException {
        try {
            return channel.size();
        } catch (IOException e) {
            throw FileErrors.named(path, e);
        }
    }

    /** Makes a file {@code bytes} long. */
    void resize(long bytes) throws IOException {
        if (device) {
            return;
        }
        long size = sizeBytes();
        if (size > bytes) {
            try {
                channel.truncate(bytes);
            } catch (IOException e) {
                throw FileErrors.named(path, e);
            }
        } else if (size < bytes) {
            // Not through a file of its own: to close that would give up the lock.
            write(bytes - 1, ByteBuffer.allocate(1));
        }
    }

    /**
     * Writes all that remains of a buffer.
     *
     * @param offsetBytes where to
     * @param src what
     * @throws IOException naming the target and the byte
     */
    public void write(long offsetBytes, ByteBuffer src) throws IOException {
        long at = offsetBytes;
        try {
            while (src.hasRemaining()) {
                at += channel.write(src, at);
            }
        } catch (IOException e) {
            throw new IOException(path + ": writing at byte " + at + " failed: " + e.getMessage(), e);
        }
    }

    /**
     * Makes a range read as zero; frees its space where the file system can.
     *
     * @param offsetBytes where it begins
     * @param lengthBytes its length
     * @throws IOException naming the target
     */
    public void zero(long offsetBytes, long lengthBytes) throws IOException {
        if (!zeroCallFails) {
            try {
                if (device) {
                    FileSpace.fallocate(fd, FileSpace.ZERO_RANGE | FileSpace.KEEP_SIZE, offsetBytes, lengthBytes);
                } else {
                    FileSpace.fallocate(fd, FileSpace.PUNCH_HOLE | FileSpace.KEEP_SIZE, offsetBytes, lengthBytes);
                }
                return;
            } catch (ErrnoException e) {
                if (e.is(Errno.EIO) || e.is(Errno.ENOSPC)) {
                    throw FileErrors.named(path, e);
                }
                // An odd length at a device's end, or a file system that makes no holes. What is zero already is not
                // written, so that holes which are there stay.
                zeroCallFails = !e.is(Errno.EINVAL);
            }
        }
        ByteBuffer there = ByteBuffer.allocate((int) Math.min(ZEROES_BYTES, lengthBytes));
        long end = offsetBytes + lengthBytes;
        for (long at = offsetBytes; at < end; at += there.limit()) {
            there.clear().limit((int) Math.min(there.capacity(), end - at));
            if (!read(at, there) || !Zeroes.fill(there, 0, there.limit())) {
                write(at, zeroes.duplicate().limit(there.limit()));
            }
        }
    }

    /** Reads {@code dst.remaining()} bytes; false when the target ends before. */
    boolean read(long offsetBytes, ByteBuffer dst) throws IOException {
        long at = offsetBytes;
        while (dst.hasRemaining()) {
            int n;
            try {
                n = channel.read(dst, at);
            } catch (IOException e) {
                throw new IOException(path + ": reading at byte " + at + " failed: " + e.getMessage(), e);
            }
            if (n <= 0) {
                return false;
            }
            at += n;
        }
        return true;
    }

    /**
     * Makes everything written durable, and gives the page cache back.
     *
     * @throws IOException when something that was written may be lost
     */
    public void flush() throws IOException {
        try {
            channel.force(true);
            PageCache.drop(fd, 0, 0);
        } catch (IOException e) {
            throw new IOException(path + ": making it durable failed: " + e.getMessage(), e);
        }
    }

    /** As {@link #mark(Path, boolean, long)}, of this target. */
    long mark(long bytes) throws IOException {
        return mark(path, device, bytes);
    }

    /**
     * What tells whether somebody else wrote to the target: a file's modification time; of a device, which has none, a
     * digest of the first MiB, where file systems note that they were mounted, and of the last of its {@code bytes}.
     */
    static long mark(Path path, boolean device, long bytes) throws IOException {
        if (!device) {
            return Files.getLastModifiedTime(path).to(TimeUnit.NANOSECONDS);
        }
        // Not a CRC: file systems end their structures with the CRC32C of these, and so the CRC32C of it all never
        // changes.
        MessageDigest digest = Sha256.digest();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            for (long at : new long[] {0, Math.max(0, bytes - MARKED_BYTES)}) {
                ByteBuffer part = ByteBuffer.allocate((int) Math.min(bytes, MARKED_BYTES));
                while (part.hasRemaining() && channel.read(part, at + part.position()) > 0) {}
                digest.update(part.flip());
            }
        } catch (IOException e) {
            throw FileErrors.named(path, e);
        }
        return ByteBuffer.wrap(digest.digest()).getLong() & Long.MAX_VALUE;
    }

    @Override
    public void close() throws IOException {
        try (channel) {
            FileDescriptors.close(fd);
        } catch (IOException e) {
            throw FileErrors.named(path, e);
        }
    }
}
