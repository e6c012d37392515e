// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import java.io.Closeable;
import java.nio.ByteBuffer;

/**
 * Verifies and unpacks the data of chunks that a {@link StreamReader} or a {@link ChunkCursor} has read. One instance a
 * thread.
 */
public final class ChunkDecoder implements Closeable {
    private String name;
    /** Those of data, which are the same in every stream. */
    private final Checksums sums = new Checksums(new byte[StreamHeader.ID_BYTES]);

    private ZstdDecompressCtx zstd;

    /** As {@link #decode(Chunk, StreamReader)}, of what messages call {@code stream}, without a digest for the whole. */
    void decode(Chunk chunk, String stream) throws StreamException {
        name = stream;
        verify(chunk);
        unpackAny(chunk);
    }

    /**
     * Verifies the stored bytes and unpacks them into {@link Chunk#data}.
     *
     * @param chunk as it was read
     * @param stream where
     * @throws StreamException naming the chunk, when the bytes are not those that were written
     */
    public void decode(Chunk chunk, StreamReader stream) throws StreamException {
        name = stream.name();
        verify(chunk);
        sums.digest(chunk, chunk.stored());
        unpackAny(chunk);
    }

    private void verify(Chunk chunk) throws StreamException {
        if (sums.plain(chunk.stored(), chunk.storedBytes) != chunk.head.getInt(Chunk.STORED_CRC)) {
            throw new StreamException(chunk.where(name), "the checksum of its data does not fit: damaged");
        }
    }

    private void unpackAny(Chunk chunk) throws StreamException {
        ByteBuffer stored = chunk.stored();
        int encoding = chunk.head.getInt(Chunk.ENCODING);
        switch (encoding) {
            case Chunk.ENCODING_RAW -> {
                if (chunk.storedBytes != chunk.dataBytes) {
                    throw new StreamException(
                            chunk.where(name),
                            "it stores " + chunk.storedBytes + " bytes for " + chunk.dataBytes + " of data");
                }
                chunk.data().clear().put(0, stored, 0, chunk.storedBytes);
            }
            case Chunk.ENCODING_ZSTD -> unpack(chunk);
            default ->
                throw new StreamException(
                        chunk.where(name), "encoding " + Integer.toUnsignedString(encoding) + " is not known");
        }
    }

    private void unpack(Chunk chunk) throws StreamException {
        if (zstd == null) {
            zstd = new ZstdDecompressCtx();
        }
        long bytes;
        try {
            bytes = zstd.decompressDirectByteBuffer(
                    chunk.data().clear(), 0, chunk.dataBytes, chunk.stored().clear(), 0, chunk.storedBytes);
        } catch (ZstdException e) {
            throw new StreamException(chunk.where(name), "its zstd data can't be unpacked: " + e.getMessage(), e);
        }
        if (bytes != chunk.dataBytes) {
            throw new StreamException(
                    chunk.where(name), "it unpacks to " + bytes + " bytes, its header says " + chunk.dataBytes);
        }
    }

    @Override
    public void close() {
        if (zstd != null) {
            zstd.close();
        }
    }
}
