// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.io.Closeable;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Arrays;
import org.dmera.core.file.FileErrors;
import org.dmera.core.file.FileIdentity;
import org.dmera.core.file.Sha256;

/**
 * Reads a stream front to back and refuses it at the first thing that is wrong, naming the chunk and its byte.
 *
 * <p>{@link #next} yields a chunk whose header, table, order and place are verified; its data are verified by
 * {@link ChunkDecoder}, which may run in another thread, and whose digest {@link #account} takes back in order.
 * {@link #finish} then judges the whole.
 */
public final class StreamReader implements Closeable {
    private static final Path STANDARD_INPUT = Path.of("/proc/self/fd/0");

    private final String name;
    private final ReadableByteChannel in;
    private final FileIdentity there;
    private final StreamHeader header;
    private final Checksums sums;
    private final MessageDigest digest = Sha256.digest();
    private final boolean regularFile;
    /** It has bytes behind the stream, of whatever was there before. */
    private final boolean blockDevice;
    /** Where in the file or device the stream begins. */
    private final long firstByte;

    /** To pass over data, which are then neither read nor judged. */
    private boolean headsAlone;

    private long streamBytes;
    private long chunks;
    private long accounted;
    private long dataBytes;
    private long zeroBytes;
    private long extents;
    private long endBytes;
    private StreamFooter footer;

    /** {@code there}: what is read; null where nothing is known of that. */
    private StreamReader(String name, ReadableByteChannel in, FileIdentity there) throws IOException {
        this.name = name;
        this.in = in;
        this.there = there;
        this.regularFile = there != null && there.isRegularFile();
        this.blockDevice = there != null && there.isBlockDevice();
        this.firstByte = regularFile || blockDevice ? position() : 0;
        ByteBuffer b = ByteBuffer.allocate(StreamHeader.BYTES);
        if (!fill(b)) {
            throw new StreamException(
                    name,
                    "not an era stream, or truncated: it ends before its header's " + StreamHeader.BYTES + " bytes");
        }
        byte[] bytes = Arrays.copyOf(b.array(), StreamHeader.BYTES + StreamHeader.tokenBytes(b.array()));
        if (!fill(ByteBuffer.wrap(bytes, StreamHeader.BYTES, bytes.length - StreamHeader.BYTES))) {
            throw new StreamException(name, "truncated: it ends before its header's " + bytes.length + " bytes");
        }
        header = StreamHeader.decode(bytes, name);
        sums = new Checksums(header.streamId());
        digest.update(bytes);
    }

    /**
     * Opens a stream and reads its header.
     *
     * @param path a file, or a block device that the stream was written to; {@code -} for {@code standardInput}, which may be
     *     either, too
     * @param standardInput is closed by the reader when it was taken
     * @return the reader, to be closed
     * @throws IOException when there is no such file, or no sound header
     */
    public static StreamReader open(String path, InputStream standardInput) throws IOException {
        if (path.equals("-")) {
            return standardInput == System.in
                    ? new StreamReader(
                            "standard input",
                            new FileInputStream(FileDescriptor.in).getChannel(),
                            FileIdentity.ofExisting(STANDARD_INPUT))
                    : of("standard input", Channels.newChannel(standardInput));
        }
        Path file = Path.of(path);
        if (!Files.exists(file)) {
            throw new IOException("Couldn't find input file " + path);
        }
        if (Files.isDirectory(file)) {
            throw new IOException("Not a block device or regular file: " + path);
        }
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        try {
            return new StreamReader(path, channel, FileIdentity.ofExisting(file));
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /**
     * Reads the header of a stream that is open.
     *
     * @param name what messages call it
     * @param in is closed by the reader
     * @return the reader, to be closed
     * @throws IOException when there is no sound header
     */
    public static StreamReader of(String name, ReadableByteChannel in) throws IOException {
        return new StreamReader(name, in, null);
    }

    /** {@return the stream's header} */
    public StreamHeader header() {
        return header;
    }

    /** {@return what messages call the stream} */
    public String name() {
        return name;
    }

    /**
     * {@return the stream's length in bytes, or −1 for a pipe or block device}
     *
     * @throws IOException when it can't be asked for
     */
    public long sizeBytes() throws IOException {
        return regularFile ? length() - firstByte : -1;
    }

    /** The file's; as with the next two, an error names it. */
    private long length() throws IOException {
        try {
            return ((FileChannel) in).size();
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    private long position() throws IOException {
        try {
            return ((FileChannel) in).position();
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    private FileChannel moveTo(long position) throws IOException {
        try {
            return ((FileChannel) in).position(position);
        } catch (IOException e) {
            throw unreadable(e);
        }
    }

    /**
     * Refuses what the digest of the whole would show at the end, before anything is written anywhere: a header with a damaged
     * token, and of a stream that is a regular file or lies on a block device a footer that is missing or tells of another
     * length. A pipe can be read but once.
     *
     * @throws IOException a {@link StreamException} that says what is wrong or missing, or when it can't be read
     */
    public void requireComplete() throws IOException {
        if (!header.isTokenWhole()) {
            throw new StreamException(name, "the token in its header is damaged");
        }
        if (regularFile) {
            footerAtEnd();
        } else if (blockDevice) {
            // Behind the footer lies whatever was there before, so it is found from chunk to chunk.
            long position = position();
            StreamReader heads = new StreamReader(name, moveTo(firstByte), there);
            heads.headsAlone = true;
            Chunk chunk = new Chunk();
            while (heads.next(chunk)) {}
            moveTo(position);
        }
    }

    /** The file, for reading at any place; null when the stream is none. */
    FileChannel file() {
        return regularFile ? (FileChannel) in : null;
    }

    /** The footer at the end of a stream that is a regular file. */
    StreamFooter footerAtEnd() throws IOException {
        long footerAt = length() - StreamFooter.BYTES;
        ByteBuffer b = ByteBuffer.allocate(StreamFooter.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        if (footerAt - firstByte >= StreamHeader.BYTES) {
            try {
                while (b.hasRemaining() && ((FileChannel) in).read(b, footerAt + b.position()) >= 0) {}
            } catch (IOException e) {
                throw unreadable(e);
            }
        }
        if (b.hasRemaining() || b.getInt(0) != StreamFooter.MAGIC) {
            throw new StreamException(
                    name,
                    "truncated: its " + sizeBytes() + " bytes do not end with a footer, so the copy was not finished"
                            + " or the file is cut (run era_apply --dry-run to see where)");
        }
        StreamFooter f = StreamFooter.decode(b, header.streamId(), name);
        if (f.streamBytes() != footerAt - firstByte) {
            throw new StreamException(
                    name,
                    "the footer counts " + f.streamBytes() + " bytes before it, the file has " + (footerAt - firstByte)
                            + ": something is missing or was added");
        }
        return f;
    }

    /**
     * Reads the next chunk: verified but for its stored data.
     *
     * @param chunk takes it
     * @return false at the footer, which has then been read
     * @throws IOException a {@link StreamException} that names the chunk and its byte, or when it can't be read
     */
    public boolean next(Chunk chunk) throws IOException {
        String where = name + ": chunk " + chunks + " (at byte " + streamBytes + ")";
        ByteBuffer head = chunk.head;
        head.clear().limit(Chunk.HEADER_BYTES);
        long begin = streamBytes;
        chunk.beginsAt = begin;
        boolean whole = fill(head);
        if (streamBytes == begin) {
            throw new StreamException(
                    name, "truncated: it ends after " + chunks + " chunks, at byte " + begin + ", without a footer");
        }
        if (head.position() >= 4 && head.getInt(0) == StreamFooter.MAGIC) {
            readFooter(head, begin);
            return false;
        }
        if (!whole) {
            throw new StreamException(where, "truncated: the stream ends in its header");
        }
        int headBytes = ChunkHead.begin(chunk, where);
        head.limit(headBytes);
        if (!fill(head)) {
            throw new StreamException(where, "truncated: the stream ends in its extent table");
        }
        ChunkHead.verify(chunk, headBytes, sums, where);
        if (chunk.sequence != chunks) {
            throw new StreamException(
                    where, "out of order: it says that it is chunk " + Long.toUnsignedString(chunk.sequence));
        }
        ChunkHead.takeTable(chunk, headBytes, endBytes, header.originSizeBytes(), where);
        if (!(headsAlone ? skip(chunk.storedBytes) : fill(chunk.stored().clear().limit(chunk.storedBytes)))) {
            throw new StreamException(where, "truncated: the stream ends in its data");
        }
        endBytes = chunk.extents().endBytes();
        chunks++;
        return true;
    }

    /**
     * Takes the digest of a decoded chunk.
     *
     * @param chunk the one that follows the chunk accounted for last
     * @throws IllegalStateException for any other
     */
    public void account(Chunk chunk) {
        if (chunk.sequence != accounted) {
            throw new IllegalStateException("chunk " + chunk.sequence + " accounted where " + accounted + " is due");
        }
        accounted++;
        digest.update(chunk.digest);
        extents += chunk.extents().size();
        dataBytes += chunk.dataBytes;
        zeroBytes += chunk.extents().totalBytes(true);
    }

    /**
     * Judges the whole stream by its footer, when every chunk has been accounted for.
     *
     * @return the footer
     * @throws StreamException when a count or the digest is another
     */
    public StreamFooter finish() throws StreamException {
        StreamFooter seen =
                new StreamFooter(accounted, dataBytes, zeroBytes, extents, footer.streamBytes(), digest.digest());
        if (seen.chunks() != footer.chunks()
                || seen.dataBytes() != footer.dataBytes()
                || seen.zeroBytes() != footer.zeroBytes()
                || seen.extents() != footer.extents()) {
            throw new StreamException(
                    name,
                    "the footer counts " + footer.chunks() + " chunks with " + footer.dataBytes()
                            + " bytes of data and "
                            + footer.zeroBytes() + " of zeroes; the stream has " + seen.chunks() + " with "
                            + seen.dataBytes() + " and " + seen.zeroBytes());
        }
        if (!Arrays.equals(seen.digest(), footer.digest())) {
            throw new StreamException(name, "the digest of the whole stream is not the one in its footer");
        }
        return footer;
    }

    private void readFooter(ByteBuffer head, long begin) throws IOException {
        ByteBuffer b = ByteBuffer.allocate(StreamFooter.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        b.put(head.flip());
        if (!fill(b)) {
            throw new StreamException(name, "truncated: it ends in its footer, at byte " + streamBytes);
        }
        footer = StreamFooter.decode(b, header.streamId(), name);
        if (footer.streamBytes() != begin) {
            throw new StreamException(
                    name, "the footer counts " + footer.streamBytes() + " bytes before it, the stream has " + begin);
        }
        if (!blockDevice && fill(ByteBuffer.allocate(1))) {
            throw new StreamException(name, "there are bytes after the footer");
        }
    }

    private boolean skip(int bytes) throws IOException {
        moveTo(position() + bytes);
        streamBytes += bytes;
        return position() <= length();
    }

    private boolean fill(ByteBuffer b) throws IOException {
        while (b.hasRemaining()) {
            int n;
            try {
                n = in.read(b);
            } catch (IOException e) {
                throw unreadable(e);
            }
            if (n < 0) {
                return false;
            }
            streamBytes += n;
        }
        return true;
    }

    /** Of many streams, which; but an interrupt is none of a stream's failures. */
    IOException unreadable(IOException e) {
        return e instanceof AsynchronousCloseException
                ? e
                : new IOException(name + ": reading it failed: " + FileErrors.why(e), e);
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
