// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Future;
import org.dmera.core.block.DirectIo;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileReplacement;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.LargeBuffers;

/**
 * A file that is there whole or not at all: it is written under another name, made durable, and renamed. Where it can, it
 * is written past the page cache, which neither the stream nor what it pushes out would profit from, and by a thread of
 * its own, so that the disk is busy while the next chunks are made.
 */
public final class StreamOutput implements WritableByteChannel, Closeable {
    private static final int BUFFER_BYTES = OriginReader.REQUEST_BYTES;
    /** One that is written and one that is filled: more are only less in the processors' caches. */
    private static final int BUFFERS = 2;

    private final FileReplacement file;
    /** Null where there is no O_DIRECT. */
    private FileChannel direct;

    private final FileChannel channel;
    private final Workers writer = new Workers("era-stream-output", 1);
    private final Deque<Full> writing = new ArrayDeque<>();
    private ByteBuffer buffer = LargeBuffers.take(BUFFER_BYTES).limit(BUFFER_BYTES);
    private long positionBytes;

    /** A buffer on its way to the disk. */
    private record Full(ByteBuffer buffer, Future<Void> done) {}

    /**
     * Begins a file.
     *
     * @param path what it is to be called once it is whole
     * @throws IOException when it can't be written, or somebody else is writing it
     */
    public StreamOutput(Path path) throws IOException {
        this(FileReplacement.begin(path));
    }

    /**
     * Takes a file over that was begun.
     *
     * @param file is closed with this, and at once when that fails
     * @throws IOException when it can't be written
     */
    @SuppressWarnings("exports") // for the programs of this project
    public StreamOutput(FileReplacement file) throws IOException {
        this.file = file;
        try {
            channel = choose();
        } catch (IOException e) {
            file.close();
            throw e;
        }
    }

    /** The channel to write by. */
    private FileChannel choose() throws IOException {
        FileChannel plain = file.channel();
        if (!DirectIo.isAligned(file.written(), Chunk.ALIGNMENT_BYTES)) {
            return plain;
        }
        try {
            direct = FileChannel.open(file.written(), StandardOpenOption.WRITE, DirectIo.DIRECT);
            direct.write(Chunk.aligned(Chunk.ALIGNMENT_BYTES).limit(Chunk.ALIGNMENT_BYTES), 0);
            return direct;
        } catch (IOException | UnsupportedOperationException e) {
            // A file system without O_DIRECT; some say so only when something is written.
            return plain;
        }
    }

    @Override
    public int write(ByteBuffer src) throws IOException {
        int bytes = src.remaining();
        while (src.hasRemaining()) {
            int end = src.limit();
            src.limit(src.position() + Math.min(src.remaining(), buffer.remaining()));
            buffer.put(src);
            src.limit(end);
            if (!buffer.hasRemaining()) {
                send(buffer.flip());
                buffer = writing.size() < BUFFERS ? LargeBuffers.take(BUFFER_BYTES) : oldest();
                buffer.clear().limit(BUFFER_BYTES);
            }
        }
        return bytes;
    }

    private void send(ByteBuffer full) {
        long at = positionBytes;
        positionBytes += full.remaining();
        writing.add(new Full(full, writer.submit(() -> {
            long to = at;
            while (full.hasRemaining()) {
                to += channel.write(full, to);
            }
            return null;
        })));
    }

    private ByteBuffer oldest() throws IOException {
        Full full = writing.remove();
        try {
            Workers.await(full.done);
        } catch (IOException e) {
            throw new IOException(file.written() + ": " + e.getMessage(), e);
        }
        return full.buffer;
    }

    /**
     * The stream is whole: makes it durable and gives it its name.
     *
     * @throws IOException when that fails; the file that had the name is untouched then
     */
    public void commit() throws IOException {
        long sizeBytes = positionBytes + buffer.position();
        // A direct write is of whole blocks: the last one is filled up, and cut off again.
        while (buffer.position() % Chunk.ALIGNMENT_BYTES != 0) {
            buffer.put((byte) 0);
        }
        send(buffer.flip());
        while (!writing.isEmpty()) {
            oldest();
        }
        try {
            channel.truncate(sizeBytes);
        } catch (IOException e) {
            throw FileErrors.named(file.written(), e);
        }
        file.commit();
    }

    @Override
    public boolean isOpen() {
        return channel.isOpen();
    }

    /** Removes what was written unless {@link #commit} has been called. */
    @Override
    public void close() throws IOException {
        writer.close();
        // In this order: to close another channel of the file gives up its claim.
        try {
            file.close();
        } finally {
            if (direct != null) {
                direct.close();
            }
        }
    }
}
