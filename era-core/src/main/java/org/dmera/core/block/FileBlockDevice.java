// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.block;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;

/**
 * A regular file or a block device as a {@link BlockDevice}, through positioned reads and writes.
 *
 * <p>The size is taken when it is opened. Exclusive opening of block devices is the business of {@link DeviceOpener}.
 */
public final class FileBlockDevice implements BlockDevice {
    private final Path path;
    private final FileChannel channel;
    private final long sizeBlocks;
    private final java.io.Closeable claim;

    private FileBlockDevice(Path path, FileChannel channel, java.io.Closeable claim) throws IOException {
        this.path = path;
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
                claim);
    }

    /**
     * Opens a block device that a running target writes to, for reading past the page cache (O_DIRECT): the target doesn't
     * go through that cache, so what an earlier reader left there is old. Buffers that are direct must be aligned to a
     * block.
     */
    static FileBlockDevice openLive(Path path) throws IOException {
        return open(path, Set.of(StandardOpenOption.READ, DirectIo.DIRECT), null);
    }

    private static FileBlockDevice open(Path path, Set<OpenOption> options, java.io.Closeable claim)
            throws IOException {
        FileChannel channel = null;
        try {
            channel = FileChannel.open(path, options);
            return new FileBlockDevice(path, channel, claim);
        } catch (IOException e) {
            if (channel != null) {
                channel.close();
            }
            if (claim != null) {
                claim.close();
            }
            throw e;
        }
    }

    /** Where it was opened. */
    public Path path() {
        return path;
    }

    @Override
    public long sizeBlocks() {
        return sizeBlocks;
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws IOException {
        BlockRanges.check(path.toString(), sizeBlocks, firstBlock, dst);
        long positionBytes = firstBlock * BLOCK_BYTES;
        while (dst.hasRemaining()) {
            int n = channel.read(dst, positionBytes);
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
        while (src.hasRemaining()) {
            positionBytes += channel.write(src, positionBytes);
        }
    }

    @Override
    public void flush() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        try (claim) {
            channel.close();
        }
    }
}
