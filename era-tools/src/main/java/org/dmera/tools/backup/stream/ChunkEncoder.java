// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import com.github.luben.zstd.ZstdCompressCtx;
import java.io.Closeable;
import java.nio.ByteBuffer;

/** Makes a chunk ready for the stream: compresses, sums and digests it. One instance a thread. */
public final class ChunkEncoder implements Closeable {
    private final Checksums sums;
    private final ZstdCompressCtx zstd;

    /**
     * For the chunks of one stream.
     *
     * @param streamId the 16 bytes of the stream's id
     * @param zstdLevel 1 to 19; 0 stores data as they are
     */
    public ChunkEncoder(byte[] streamId, int zstdLevel) {
        sums = new Checksums(streamId);
        zstd = zstdLevel == 0 ? null : new ZstdCompressCtx().setLevel(zstdLevel).setChecksum(true);
    }

    /**
     * Encodes the extents and data of a chunk.
     *
     * @param chunk whose data buffer holds the data from index 0
     * @param sequence its number in the stream, from 0
     * @param dataBytes how much data there is
     */
    public void encode(Chunk chunk, long sequence, int dataBytes) {
        chunk.sequence = sequence;
        chunk.dataBytes = dataBytes;
        chunk.storedIsData = !compress(chunk);
        ByteBuffer stored = chunk.storedIsData ? chunk.data() : chunk.stored();
        ByteBuffer head = chunk.head;
        int headBytes = Chunk.HEADER_BYTES + chunk.extents().size() * ExtentTable.ENTRY_BYTES;
        head.clear();
        head.putInt(Chunk.MAGIC)
                .putInt(chunk.extents().size())
                .putLong(sequence)
                .putInt(dataBytes)
                .putInt(chunk.storedBytes)
                .putInt(chunk.storedIsData ? Chunk.ENCODING_RAW : Chunk.ENCODING_ZSTD)
                .putInt(0)
                .putInt(sums.plain(stored, chunk.storedBytes))
                .putInt(0);
        chunk.extents().encode(head);
        head.putInt(Chunk.HEAD_CRC, sums.seeded(head, Chunk.HEAD_CRC, headBytes));
        sums.digest(chunk, stored);
    }

    /** Whether the data got at least an eighth smaller: less is not worth the reader's time. */
    private boolean compress(Chunk chunk) {
        chunk.storedBytes = chunk.dataBytes;
        if (zstd == null || chunk.dataBytes == 0) {
            return false;
        }
        int room = chunk.dataBytes - chunk.dataBytes / 8;
        long bytes;
        try {
            bytes = zstd.compressDirectByteBuffer(
                    chunk.stored().clear(), 0, room, chunk.data().clear(), 0, chunk.dataBytes);
        } catch (com.github.luben.zstd.ZstdException e) {
            if (e.getErrorCode() == com.github.luben.zstd.Zstd.errDstSizeTooSmall()) {
                return false;
            }
            throw e;
        }
        chunk.storedBytes = (int) bytes;
        return true;
    }

    @Override
    public void close() {
        if (zstd != null) {
            zstd.close();
        }
    }
}
