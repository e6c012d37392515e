// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import org.dmera.core.file.FileClaim;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileIdentity;

/**
 * A regular file or a block device as a {@link BlockDevice}, through positioned reads and writes.
 *
 * <p>The size is taken when it is opened. Exclusive opening of block devices is the business of {@link DeviceOpener}.
 */
public final class FileBlockDevice implements BlockDevice {
    private static final int ALIGNED_BYTES = 16 * BLOCK_BYTES;

    private final Path path;
    private final FileChannel channel;
    private final long sizeBlocks;
    private java.io.Closeable claim;
    /** Where a live device is read for buffers that are not direct; null when it is none. */
    private final ByteBuffer aligned;

    private FileBlockDevice(Path path, FileChannel channel, java.io.Closeable claim, boolean isLive)
            throws IOException {
        this.path = path;
        this.aligned =
                isLive ? ByteBuffer.allocateDirect(ALIGNED_BYTES + BLOCK_BYTES).alignedSlice(BLOCK_BYTES) : null;
        this.channel = channel;
        this.claim = claim;
        this.sizeBlocks = channel.size() / BLOCK_BYTES;
    }

    /** Opens {@code path} for reading, or for reading and writing; it must exist. No exclusive claim is made. */
    public static FileBlockDevice open(Path path, boolean writable) throws IOException {
        return open(path, writable, null);
    }

    /**
     * As {@link #open(Path, boolean)}; {@code claim}, or null for none, is closed with the device, or at once when opening
     * fails.
     */
    static FileBlockDevice open(Path path, boolean writable, java.io.Closeable claim) throws IOException {
        return open(
                path,
                writable ? Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE) : Set.of(StandardOpenOption.READ),
                claim,
                false);
    }

    /**
     * Opens a block device that a running target writes to, for reading past the page cache (O_DIRECT): the target doesn't
     * go through that cache, so what an earlier reader left there is old. Buffers that are direct must be aligned to a
     * block.
     */
    static FileBlockDevice openLive(Path path) throws IOException {
        return open(path, Set.of(StandardOpenOption.READ, DirectIo.DIRECT), null, true);
    }

    private static FileBlockDevice open(Path path, Set<OpenOption> options, java.io.Closeable claim, boolean isLive)
            throws IOException {
        FileChannel channel = null;
        try {
            channel = FileChannel.open(path, options);
            return new FileBlockDevice(path, channel, claim, isLive);
        } catch (IOException e) {
            if (channel != null) {
                channel.close();
            }
            if (claim != null) {
                claim.close();
            }
            throw FileErrors.named(path, e);
        }
    }

    /**
     * Opens a regular file and claims it against others: against all when {@code writable}, else against those who write.
     *
     * @param lasting whether other parts of this process may open and close it meanwhile
     * @param seen what {@code path} led to
     */
    static FileBlockDevice openClaimed(Path path, boolean writable, boolean lasting, FileIdentity seen)
            throws IOException {
        FileIdentity before = seen;
        while (true) {
            FileBlockDevice opened = open(path, writable, null);
            try {
                if (writable) {
                    FileClaim.requireForWriting(opened.channel, path);
                } else {
                    opened.claim = lasting
                            ? FileClaim.requireLasting(path)
                            : FileClaim.requireForReading(opened.channel, path);
                }
                // Whoever had it may have put another file in its place before letting go.
                if (FileClaim.isStill(before, path)) {
                    return opened;
                }
            } catch (IOException e) {
                opened.close();
                throw e;
            }
            opened.close();
            before = FileIdentity.of(path);
        }
    }

    /** Where it was opened. */
    public Path path() {
        return path;
    }

    @Override
    public String name() {
        return path.toString();
    }

    @Override
    public long sizeBlocks() {
        return sizeBlocks;
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws IOException {
        BlockRanges.check(path.toString(), sizeBlocks, firstBlock, dst);
        if (aligned == null || dst.isDirect()) {
            readAt(firstBlock * BLOCK_BYTES, dst);
            return;
        }
        // Java 17 would read into an aligned buffer of its own, keep that for other reads of the thread, and fail when
        // it lets it go (NullPointerException: a slice has no cleaner).
        synchronized (aligned) {
            long positionBytes = firstBlock * BLOCK_BYTES;
            while (dst.hasRemaining()) {
                aligned.clear().limit(Math.min(dst.remaining(), aligned.capacity()));
                readAt(positionBytes, aligned);
                dst.put(aligned.flip());
                positionBytes += aligned.limit();
            }
        }
    }

    private void readAt(long from, ByteBuffer dst) throws IOException {
        long positionBytes = from;
        while (dst.hasRemaining()) {
            int n;
            try {
                n = channel.read(dst, positionBytes);
            } catch (ClosedChannelException e) {
                // The reader was interrupted, which is no failure of the device's.
                throw e;
            } catch (IOException e) {
                throw new IOException(
                        path + ": reading block " + positionBytes / BLOCK_BYTES + " failed: " + e.getMessage(), e);
            }
            if (n < 0) {
                throw new EOFException(path + ": the file ended at block " + positionBytes / BLOCK_BYTES + "; it had "
                        + sizeBlocks + " blocks when it was opened");
            }
            positionBytes += n;
        }
    }

    @Override
    public void write(long firstBlock, ByteBuffer src) throws IOException {
        BlockRanges.check(path.toString(), sizeBlocks, firstBlock, src);
        long positionBytes = firstBlock * BLOCK_BYTES;
        try {
            while (src.hasRemaining()) {
                positionBytes += channel.write(src, positionBytes);
            }
        } catch (IOException e) {
            throw new IOException(
                    path + ": writing block " + positionBytes / BLOCK_BYTES + " failed: " + e.getMessage(), e);
        }
    }

    @Override
    public void flush() throws IOException {
        try {
            channel.force(false);
        } catch (IOException e) {
            throw new IOException(path + ": making it durable failed: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() throws IOException {
        try (channel) {
            if (claim != null) {
                claim.close();
            }
        } catch (IOException e) {
            throw FileErrors.named(path, e);
        }
    }
}
