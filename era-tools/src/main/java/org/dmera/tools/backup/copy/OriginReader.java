// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.dmera.core.block.DirectIo;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.PageCache;
import org.dmera.tools.backup.stream.Chunk;

/**
 * Reads an origin past the page cache: with O_DIRECT, or where that is not to be had, by dropping what it read.
 *
 * <p>Two reasons. A backup must not push everything else out of memory. And on a block device the cache may be stale:
 * writes that come through the era device go to the disk below the origin node's own cache, so a page that an earlier
 * reader left there would be old data. Without O_DIRECT the range is therefore dropped before it is read, too.
 */
public final class OriginReader implements OriginSource {
    /** Reads begin at multiples of this. */
    public static final int ALIGNMENT_BYTES = Chunk.ALIGNMENT_BYTES;

    /**
     * The most that is read or written at once. Nearly the 1 MiB that a chunk may hold, but of fewer pages than the 254
     * that virtio's disks take in one request: a full MiB would be split in a large and a tiny one.
     */
    static final int REQUEST_BYTES = 960 << 10;

    private final Path path;
    private final FileChannel channel;
    private final long sizeBytes;
    /** For advice on the page cache; −1 with O_DIRECT. */
    private final int adviceFd;
    /** What was never written, of a file; null for a device. */
    private final Holes holes;

    /** Takes over the channel and the descriptor, which are closed with this or when this throws. */
    private OriginReader(Path path, FileChannel channel, int adviceFd) throws IOException {
        this.path = path;
        this.channel = channel;
        this.adviceFd = adviceFd;
        try {
            this.sizeBytes = sizeOf(path, channel);
            this.holes = Files.isRegularFile(path) ? Holes.of(path, sizeBytes) : null;
        } catch (IOException e) {
            closeChannel();
            throw e;
        }
    }

    private static long sizeOf(Path path, FileChannel channel) throws IOException {
        try {
            return channel.size();
        } catch (IOException e) {
            throw FileErrors.named(path, e);
        }
    }

    /**
     * Opens an origin, which may be in use.
     *
     * @param path a block device or regular file
     * @return the reader, to be closed
     * @throws IOException in one line, when it can't be read
     */
    public static OriginReader open(Path path) throws IOException {
        if (!Files.exists(path)) {
            throw new IOException("Couldn't find input file " + path);
        }
        if (!Files.isReadable(path)) {
            throw new IOException("Permission denied: " + path);
        }
        // Before it is opened: to open a pipe waits for somebody who writes to it.
        FileIdentity identity = FileIdentity.of(path);
        if (!identity.isBlockDevice() && !identity.isRegularFile()) {
            throw new IOException("Not a block device or regular file: " + path);
        }
        FileChannel direct = openDirect(path);
        if (direct != null) {
            return new OriginReader(path, direct, -1);
        }
        FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
        int fd;
        try {
            fd = FileDescriptors.open(path.toString(), FileDescriptors.O_RDONLY);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
        return new OriginReader(path, channel, fd);
    }

    /** Null when the file system has no O_DIRECT, or one with larger blocks than ours. */
    private static FileChannel openDirect(Path path) throws IOException {
        if (!DirectIo.isAligned(path, ALIGNMENT_BYTES)) {
            return null;
        }
        FileChannel channel;
        try {
            channel = FileChannel.open(path, StandardOpenOption.READ, DirectIo.DIRECT);
        } catch (IOException | UnsupportedOperationException e) {
            return null;
        }
        try {
            channel.read(Chunk.aligned(ALIGNMENT_BYTES).limit(ALIGNMENT_BYTES), 0);
            return channel;
        } catch (IOException e) {
            channel.close();
            return null;
        }
    }

    @Override
    public Path path() {
        return path;
    }

    /** Size of the device or file when it was opened. */
    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public long holeUntil(long offset) {
        return holes == null ? offset : holes.holeUntil(offset);
    }

    @Override
    public long dataUntil(long offset) {
        return holes == null ? sizeBytes : holes.dataUntil(offset);
    }

    /** {@return whether reads bypass the page cache} */
    public boolean isDirect() {
        return adviceFd < 0;
    }

    @Override
    public void read(long offset, int length, ByteBuffer into, int at) throws IOException {
        int rounded = (length + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
        into.limit(at + (isDirect() ? rounded : length)).position(at);
        try {
            if (!isDirect()) {
                PageCache.drop(adviceFd, offset, length);
            }
            while (into.position() - at < length) {
                int n = channel.read(into, offset + into.position() - at);
                // Not where it ends within a block: nothing can be read from there past the page cache, not even its
                // end.
                if (n <= 0 || into.position() - at < length && offset + into.position() - at >= channel.size()) {
                    throw new EOFException("it ends at byte " + (offset + into.position() - at) + "; it had "
                            + sizeBytes + " bytes when the copy began");
                }
            }
            if (!isDirect()) {
                PageCache.drop(adviceFd, offset, length);
            }
        } catch (IOException e) {
            throw new IOException(
                    path + ": reading " + length + " bytes at " + offset + " failed: " + FileErrors.why(e), e);
        }
    }

    @Override
    public void close() throws IOException {
        try (holes) {
            closeChannel();
        }
    }

    private void closeChannel() throws IOException {
        try (channel) {
            if (adviceFd >= 0) {
                FileDescriptors.close(adviceFd);
            }
        }
    }
}
