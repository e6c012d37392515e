// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import java.util.function.LongConsumer;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ChunkEncoder;
import org.dmera.tools.backup.stream.StreamFooter;
import org.dmera.tools.backup.stream.StreamHeader;
import org.dmera.tools.backup.stream.StreamReader;
import org.dmera.tools.backup.stream.StreamWriter;

/** Makes one stream of a chain: applying it gives what applying the chain gives. */
public final class StreamMerge {
    private StreamMerge() {}

    /**
     * {@return the header of the merged stream}
     *
     * @param streams in order, one at least
     * @param streamId random, 16 bytes
     * @throws IOException when one doesn't fit those before it
     */
    public static StreamHeader header(List<StreamReader> streams, byte[] streamId) throws IOException {
        Chain.requireLinked(streams);
        StreamHeader first = streams.get(0).header();
        StreamHeader last = streams.get(streams.size() - 1).header();
        int flags = StreamHeader.MERGED | last.flags() & (StreamHeader.METADATA_SNAPSHOT | StreamHeader.POINT_IN_TIME);
        StreamHeader base = first;
        long history = 0;
        for (StreamReader s : streams) {
            history = s.header().historyAfter(history);
            // A full stream in the middle makes what comes before it irrelevant.
            base = s.header().isFull() ? s.header() : base;
        }
        return new StreamHeader(
                streamId,
                last.originSizeBytes(),
                base.baseSizeBytes(),
                last.blockSizeBytes(),
                flags | base.flags() & StreamHeader.FULL,
                base.baseEra(),
                last.newEra(),
                last.createdUnixSeconds(),
                last.metadataUuid(),
                last.identity(),
                history,
                last.token());
    }

    /**
     * Writes the merged stream.
     *
     * @param streams in order, one at least
     * @param header from {@link #header}
     * @param out stays open
     * @param zstdLevel 1 to 19; 0 stores data as they are
     * @param progress gets how many more bytes of the origin are done
     * @return the merged stream's footer
     * @throws IOException when a stream is damaged or can't be read, or the channel can't be written to
     */
    public static StreamFooter merge(
            List<StreamReader> streams,
            StreamHeader header,
            WritableByteChannel out,
            int zstdLevel,
            LongConsumer progress)
            throws IOException {
        StreamWriter writer = new StreamWriter(out, header);
        Chunk chunk = new Chunk();
        try (MergedExtents merged = new MergedExtents(streams);
                ChunkEncoder encoder = new ChunkEncoder(header.streamId(), zstdLevel)) {
            int held = 0;
            while (merged.next()) {
                long offset = merged.offsetBytes();
                long length = merged.lengthBytes();
                progress.accept(length);
                if (merged.isZero()) {
                    if (chunk.extents().isFull()) {
                        held = put(encoder, chunk, held, writer);
                    }
                    chunk.extents().add(offset, length, true);
                    continue;
                }
                ByteBuffer data = merged.data();
                while (length > 0) {
                    if (held == Chunk.MAX_DATA_BYTES || chunk.extents().isFull()) {
                        held = put(encoder, chunk, held, writer);
                    }
                    int part = (int) Math.min(length, Chunk.MAX_DATA_BYTES - held);
                    chunk.data().clear().put(held, data, data.position(), part);
                    data.position(data.position() + part);
                    chunk.extents().add(offset, part, false);
                    held += part;
                    offset += part;
                    length -= part;
                }
            }
            if (chunk.extents().size() > 0) {
                put(encoder, chunk, held, writer);
            }
        }
        return writer.finish();
    }

    private static int put(ChunkEncoder encoder, Chunk chunk, int held, StreamWriter writer) throws IOException {
        encoder.encode(chunk, writer.nextSequence(), held);
        writer.write(chunk);
        chunk.extents().clear();
        return 0;
    }
}
