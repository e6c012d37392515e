// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.WritableByteChannel;
import java.security.MessageDigest;
import org.dmera.core.file.Sha256;

/** Writes a stream: header, encoded chunks in order, footer. A stream without its footer is refused by every reader. */
public final class StreamWriter {
    private final WritableByteChannel out;
    private final StreamHeader header;
    private final MessageDigest digest = Sha256.digest();
    private long chunks;
    private long dataBytes;
    private long zeroBytes;
    private long extents;
    private long streamBytes;
    /** Where the last extent ended. */
    private long endBytes;

    /**
     * Writes the header at once.
     *
     * @param out stays open
     * @param header of the stream
     * @throws IOException when that can't be written to
     */
    public StreamWriter(WritableByteChannel out, StreamHeader header) throws IOException {
        this.out = out;
        this.header = header;
        byte[] bytes = header.encode();
        digest.update(bytes);
        write(ByteBuffer.wrap(bytes));
    }

    /** {@return the number that the next chunk must carry} */
    public long nextSequence() {
        return chunks;
    }

    /**
     * Writes an encoded chunk.
     *
     * @param chunk the {@link #nextSequence}-th
     * @throws IOException when the channel can't be written to
     * @throws IllegalArgumentException when no reader would take it: its extents lie outside the origin, don't follow those before
     *     them, or aren't those of its data
     */
    public void write(Chunk chunk) throws IOException {
        if (chunk.sequence != chunks) {
            throw new IllegalStateException("chunk " + chunk.sequence + " where " + chunks + " is due");
        }
        String wrong = chunk.dataBytes > Chunk.MAX_DATA_BYTES
                ? "it has more data than a chunk can"
                : chunk.extents().check(endBytes, header.originSizeBytes(), chunk.dataBytes);
        if (wrong != null) {
            throw new IllegalArgumentException("chunk " + chunks + " can't be written: " + wrong);
        }
        endBytes = chunk.extents().endBytes();
        ByteBuffer head = chunk.head;
        head.position(0).limit(Chunk.HEADER_BYTES + chunk.extents().size() * ExtentTable.ENTRY_BYTES);
        ByteBuffer stored = chunk.storedIsData ? chunk.data() : chunk.stored();
        stored.limit(chunk.storedBytes).position(0);
        if (out instanceof GatheringByteChannel gathering) {
            ByteBuffer[] both = {head, stored};
            while (stored.hasRemaining() || head.hasRemaining()) {
                streamBytes += gathering.write(both);
            }
        } else {
            write(head);
            write(stored);
        }
        digest.update(chunk.digest);
        chunks++;
        extents += chunk.extents().size();
        dataBytes += chunk.dataBytes;
        zeroBytes += chunk.extents().totalBytes(true);
    }

    /**
     * Ends the stream. The channel stays open.
     *
     * @return the footer
     * @throws IOException when the channel can't be written to
     * @throws IllegalStateException when a full stream lacks a part of the origin
     */
    public StreamFooter finish() throws IOException {
        if (header.isFull() && dataBytes + zeroBytes != header.originSizeBytes()) {
            throw new IllegalStateException("a full stream with " + (dataBytes + zeroBytes) + " of the origin's "
                    + header.originSizeBytes() + " bytes");
        }
        StreamFooter footer = new StreamFooter(chunks, dataBytes, zeroBytes, extents, streamBytes, digest.digest());
        write(footer.encode(header.streamId()));
        return footer;
    }

    private void write(ByteBuffer b) throws IOException {
        while (b.hasRemaining()) {
            streamBytes += out.write(b);
        }
    }
}
