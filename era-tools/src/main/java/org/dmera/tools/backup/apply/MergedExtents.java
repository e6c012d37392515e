// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.ChunkDecoder;
import org.dmera.tools.backup.stream.ExtentTable;
import org.dmera.tools.backup.stream.StreamReader;

/**
 * What a chain of streams leaves on a target, extent by extent in ascending order, the newest stream winning. All
 * streams are read side by side, the data of one chunk of each in memory, so a merge needs no more for a large origin than
 * for a small one; and of many streams that hold little no more than that.
 */
final class MergedExtents implements Closeable {
    private final List<Cursor> cursors = new ArrayList<>();
    /** What was read last, of any of the streams. */
    private final Chunk chunk = new Chunk();

    private final ChunkDecoder decoder = new ChunkDecoder();
    private Cursor source;
    private long offset;
    private long end;

    /** {@code streams} in the order in which they were made. */
    MergedExtents(List<StreamReader> streams) throws IOException {
        // What a later stream cut off is gone, even where a still later one lets the origin grow again.
        long limit = Long.MAX_VALUE;
        for (int i = streams.size() - 1; i >= 0; i--) {
            cursors.add(0, new Cursor(streams.get(i), limit));
            limit = Math.min(limit, streams.get(i).header().originSizeBytes());
        }
        for (Cursor c : cursors) {
            c.advance();
        }
    }

    /** Moves to the next extent; false when every stream has ended and its footer fits. */
    boolean next() throws IOException {
        long at = Long.MAX_VALUE;
        for (Cursor c : cursors) {
            c.consume(end);
            at = Math.min(at, c.offset);
        }
        if (at == Long.MAX_VALUE) {
            return false;
        }
        long until = Long.MAX_VALUE;
        for (int i = cursors.size() - 1; i >= 0; i--) {
            Cursor c = cursors.get(i);
            if (c.offset <= at) {
                source = c;
                until = Math.min(until, c.end);
                break;
            }
            until = Math.min(until, c.offset);
        }
        offset = at;
        end = until;
        return true;
    }

    long offsetBytes() {
        return offset;
    }

    long lengthBytes() {
        return end - offset;
    }

    boolean isZero() {
        return source.zero;
    }

    /** The extent's data, unless it is zero; valid until {@link #next}. */
    ByteBuffer data() {
        return source.data.limit(source.dataAt + (int) (end - offset)).position(source.dataAt);
    }

    @Override
    public void close() {
        decoder.close();
    }

    /** One stream's present extent, or what is left of it. */
    private final class Cursor {
        final StreamReader stream;
        final long limitBytes;
        /** These two are as large as the largest that has come: most increments are far smaller than a chunk may be. */
        private final ExtentTable extents = new ExtentTable(0);

        ByteBuffer data = ByteBuffer.allocate(0);

        int next;
        int nextDataAt;
        int dataAt;
        boolean zero;
        /** {@code Long.MAX_VALUE} when the stream has ended. */
        long offset = 0;

        long end;

        Cursor(StreamReader stream, long limitBytes) {
            this.stream = stream;
            this.limitBytes = limitBytes;
        }

        void consume(long upTo) throws IOException {
            while (offset < upTo) {
                if (end > upTo) {
                    dataAt += zero ? 0 : (int) (upTo - offset);
                    offset = upTo;
                } else {
                    advance();
                }
            }
        }

        void advance() throws IOException {
            do {
                step();
            } while (offset != Long.MAX_VALUE && offset >= limitBytes);
            end = offset == Long.MAX_VALUE ? end : Math.min(end, limitBytes);
        }

        private void step() throws IOException {
            if (next == extents.size()) {
                if (!stream.next(chunk)) {
                    stream.finish();
                    offset = Long.MAX_VALUE;
                    return;
                }
                decoder.decode(chunk, stream);
                stream.account(chunk);
                extents.set(chunk.extents());
                if (data.capacity() < chunk.dataBytes()) {
                    data = ByteBuffer.allocate(chunk.dataBytes());
                }
                data.clear().put(0, chunk.data(), 0, chunk.dataBytes());
                next = 0;
                nextDataAt = 0;
            }
            offset = extents.offsetBytes(next);
            end = offset + extents.lengthBytes(next);
            zero = extents.isZero(next);
            dataAt = nextDataAt;
            nextDataAt += zero ? 0 : (int) extents.lengthBytes(next);
            next++;
        }
    }
}
