// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;

/** Reads chunks at any place of any {@link StreamFile}. One instance a thread; it holds 2 MiB. */
public final class ChunkCursor implements Closeable {
    /** A chunk's header and the table that most chunks have are in memory after one read of so many bytes. */
    private static final int FIRST_READ_BYTES = Chunk.HEADER_BYTES + 8 * ExtentTable.ENTRY_BYTES;

    private static final int SEARCHED_BYTES = 1 << 20;

    private final Chunk chunk = new Chunk();
    private final ChunkDecoder decoder = new ChunkDecoder();
    private StreamFile file;
    private long dataAt;

    /** {@return what was read last} */
    public Chunk chunk() {
        return chunk;
    }

    /**
     * Reads and verifies the header and the table of a chunk.
     *
     * @param in where
     * @param at the byte of the file that it begins at
     * @param fromBytes where in the origin it may begin at the earliest
     * @return where the next chunk begins, or the footer
     * @throws IOException a {@link StreamException} when no sound chunk begins there, or when it can't be read
     */
    public long head(StreamFile in, long at, long fromBytes) throws IOException {
        file = in;
        chunk.beginsAt = at;
        String where = in.name() + ": chunk at byte " + at;
        ByteBuffer head = chunk.head;
        head.clear().limit((int) Math.min(FIRST_READ_BYTES, in.chunksEndAt() - at));
        in.fill(head, at, where);
        if (head.position() < Chunk.HEADER_BYTES) {
            throw new StreamException(where, "truncated: the footer begins in its header");
        }
        int headBytes = ChunkHead.begin(chunk, where);
        dataAt = at + headBytes;
        long end = dataAt + chunk.storedBytes;
        if (end > in.chunksEndAt()) {
            throw new StreamException(where, "damaged: it would end at byte " + end + ", where the footer is");
        }
        head.limit(Math.max(headBytes, head.position()));
        in.fill(head, at, where);
        ChunkHead.verify(chunk, headBytes, new Checksums(in.header().streamId()), where);
        ChunkHead.takeTable(chunk, headBytes, fromBytes, in.header().originSizeBytes(), where);
        return end;
    }

    /**
     * Reads, verifies and unpacks the data of the chunk whose {@link #head} was read last.
     *
     * @throws IOException a {@link StreamException} when they are damaged, or when they can't be read
     */
    public void data() throws IOException {
        chunk.stored().clear().limit(chunk.storedBytes);
        file.fill(chunk.stored(), dataAt, chunk.where(file.name()));
        decoder.decode(chunk, file.name());
    }

    /**
     * Looks for the next sound chunk, where none begins.
     *
     * @param in where
     * @param from the byte of the file to begin at
     * @param fromBytes where in the origin it may begin at the earliest
     * @return where it begins, its head read; where the footer begins when there is none
     * @throws IOException when the file can't be read
     */
    public long find(StreamFile in, long from, long fromBytes) throws IOException {
        ByteBuffer window = ByteBuffer.allocate(SEARCHED_BYTES);
        byte[] bytes = window.array();
        for (long at = from; at < in.chunksEndAt(); at += SEARCHED_BYTES - Integer.BYTES + 1) {
            window.clear().limit((int) Math.min(SEARCHED_BYTES, in.chunksEndAt() - at));
            in.fill(window, at, in.name());
            for (int i = 0; i + Integer.BYTES <= window.limit(); i++) {
                if (isMagic(bytes, i) && begins(in, at + i, fromBytes)) {
                    return at + i;
                }
            }
        }
        return in.chunksEndAt();
    }

    private boolean begins(StreamFile in, long at, long fromBytes) throws IOException {
        try {
            head(in, at, fromBytes);
            return true;
        } catch (StreamException e) {
            // Four bytes of somebody's data that look like it.
            return false;
        }
    }

    private static boolean isMagic(byte[] bytes, int i) {
        return bytes[i] == (byte) Chunk.MAGIC
                && bytes[i + 1] == (byte) (Chunk.MAGIC >>> 8)
                && bytes[i + 2] == (byte) (Chunk.MAGIC >>> 16)
                && bytes[i + 3] == (byte) (Chunk.MAGIC >>> 24);
    }

    @Override
    public void close() {
        decoder.close();
    }
}
