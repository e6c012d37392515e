// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/**
 * A stream in a file, whose chunks are read in any order, by any number of threads, each with a {@link ChunkCursor} of its own.
 *
 * <p>The digest of the whole is not looked at: that takes reading all of it. Each chunk that is read is verified by its own
 * checksums.
 */
public final class StreamFile implements Closeable {
    private final StreamReader reader;
    private final FileChannel channel;
    private final StreamFooter footer;

    private StreamFile(StreamReader reader) throws IOException {
        this.reader = reader;
        channel = reader.file();
        if (channel == null) {
            throw new IOException(reader.name() + ": not a regular file, as reading a stream here and there needs");
        }
        footer = reader.footerAtEnd();
    }

    /**
     * Opens a stream.
     *
     * @param path a regular file
     * @return the stream, to be closed
     * @throws IOException when there is no such file, or it has no sound header and footer; also for {@code -}, which
     *     is standard input wherever streams are read from one end to the other
     */
    public static StreamFile open(Path path) throws IOException {
        if (path.toString().equals("-")) {
            throw new IOException("standard input can't be read here and there, which this needs: give a file");
        }
        StreamReader reader = StreamReader.open(path.toString(), null);
        try {
            return new StreamFile(reader);
        } catch (IOException e) {
            reader.close();
            throw e;
        }
    }

    /** {@return the stream as those see it who judge how streams follow one another; its chunks must not be read by it} */
    public StreamReader reader() {
        return reader;
    }

    /** {@return what messages call it} */
    public String name() {
        return reader.name();
    }

    /** {@return the stream's header} */
    public StreamHeader header() {
        return reader.header();
    }

    /** {@return the stream's footer} */
    public StreamFooter footer() {
        return footer;
    }

    /** {@return how many chunks there are, by the footer; but no more than there is room for} */
    public long chunks() {
        long room = chunksEndAt() / (Chunk.HEADER_BYTES + ExtentTable.ENTRY_BYTES);
        return Math.max(0, Math.min(footer.chunks(), room));
    }

    /** {@return where the first chunk begins in the file, in bytes} */
    public long firstChunkAt() {
        return (long) StreamHeader.BYTES + header().token().length;
    }

    /** {@return where the footer begins, in bytes: no chunk reaches past it} */
    public long chunksEndAt() {
        return footer.streamBytes();
    }

    /**
     * Fills {@code b}, whose index 0 is byte {@code at} of the file, up to its limit.
     *
     * @param where names what is read, for messages
     */
    void fill(ByteBuffer b, long at, String where) throws IOException {
        while (b.hasRemaining()) {
            int n;
            try {
                n = channel.read(b, at + b.position());
            } catch (IOException e) {
                throw reader.unreadable(e);
            }
            if (n < 0) {
                throw new StreamException(
                        where, "the file ends at byte " + (at + b.position()) + "; it was longer when it was opened");
            }
        }
    }

    @Override
    public void close() throws IOException {
        reader.close();
    }
}
