// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.GatheringByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.PageCache;

/**
 * A file that is there whole or not at all: it is written under another name, made durable, and renamed. What has been
 * written is dropped from the page cache on the way, and the disk is kept busy meanwhile.
 */
public final class StreamOutput implements GatheringByteChannel, Closeable {
    private static final long WINDOW_BYTES = 16 << 20;

    private final Path path;
    private final Path partial;
    private final FileChannel channel;
    private long writtenBytes;
    private long windowBytes;
    private int adviceFd = -1;
    private boolean complete;

    /** Creates {@code FILE.partial}, in place of one that an interrupted run left. */
    public StreamOutput(Path path) throws IOException {
        this.path = path;
        this.partial = path.resolveSibling(path.getFileName() + ".partial");
        if (Files.isDirectory(path)) {
            throw new IOException("Not a block device or regular file: " + path);
        }
        try {
            channel = FileChannel.open(
                    partial, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        } catch (java.nio.file.NoSuchFileException e) {
            throw new IOException("Couldn't create " + partial + ": no such folder", e);
        } catch (java.nio.file.AccessDeniedException e) {
            throw new IOException("Permission denied: " + partial, e);
        }
    }

    @Override
    public int write(ByteBuffer src) throws IOException {
        int n = channel.write(src);
        wrote(n);
        return n;
    }

    @Override
    public long write(ByteBuffer[] srcs) throws IOException {
        long n = channel.write(srcs);
        wrote(n);
        return n;
    }

    @Override
    public long write(ByteBuffer[] srcs, int offset, int length) throws IOException {
        long n = channel.write(srcs, offset, length);
        wrote(n);
        return n;
    }

    private void wrote(long bytes) throws IOException {
        writtenBytes += bytes;
        while (writtenBytes - windowBytes >= WINDOW_BYTES) {
            if (adviceFd < 0) {
                adviceFd = FileDescriptors.open(partial.toString(), FileDescriptors.O_RDWR);
            }
            PageCache.startWriteback(adviceFd, windowBytes, WINDOW_BYTES);
            if (windowBytes > 0) {
                PageCache.awaitWriteback(adviceFd, windowBytes - WINDOW_BYTES, WINDOW_BYTES);
                PageCache.drop(adviceFd, windowBytes - WINDOW_BYTES, WINDOW_BYTES);
            }
            windowBytes += WINDOW_BYTES;
        }
    }

    /** The stream is whole: makes it durable and gives it its name. */
    public void commit() throws IOException {
        channel.force(true);
        Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        complete = true;
        Path folder = path.toAbsolutePath().getParent();
        try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
            directory.force(true);
        }
    }

    @Override
    public boolean isOpen() {
        return channel.isOpen();
    }

    /** Removes what was written unless {@link #commit} has been called. */
    @Override
    public void close() throws IOException {
        try (channel) {
            if (adviceFd >= 0) {
                FileDescriptors.close(adviceFd);
                adviceFd = -1;
            }
            if (!complete) {
                Files.deleteIfExists(partial);
            }
        }
    }
}
