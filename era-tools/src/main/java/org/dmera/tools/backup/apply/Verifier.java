// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.apply;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;
import org.dmera.tools.backup.copy.OriginReader;
import org.dmera.tools.backup.copy.Zeroes;
import org.dmera.tools.backup.stream.Chunk;
import org.dmera.tools.backup.stream.StreamReader;

/** Compares a target with what a chain of streams leaves there. Only what the streams hold is compared. */
public final class Verifier {
    private Verifier() {}

    /** Receives each range that differs, in bytes; ranges that touch come one by one. */
    public interface Differences {
        /**
         * A range differs.
         *
         * @param offsetBytes where it begins
         * @param lengthBytes its length
         * @throws IOException when that can't be taken
         */
        void differs(long offsetBytes, long lengthBytes) throws IOException;
    }

    /**
     * Compares.
     *
     * @param streams in order, one at least
     * @param targetPath a block device or regular file
     * @param differences gets what differs
     * @param progress gets how many more bytes of the origin are done
     * @return how many bytes were compared
     * @throws IOException when a stream is damaged, or it or the target can't be read
     */
    public static long compare(
            List<StreamReader> streams, Path targetPath, Differences differences, LongConsumer progress)
            throws IOException {
        long compared = 0;
        ByteBuffer there = Chunk.aligned(Chunk.MAX_DATA_BYTES + 2 * Chunk.ALIGNMENT_BYTES);
        try (MergedExtents merged = new MergedExtents(streams);
                OriginReader target = OriginReader.open(targetPath)) {
            long size = streams.get(streams.size() - 1).header().originSizeBytes();
            if (target.sizeBytes() < size) {
                differences.differs(target.sizeBytes(), size - target.sizeBytes());
            }
            while (merged.next()) {
                ByteBuffer data = merged.isZero() ? null : merged.data();
                long at = merged.offsetBytes();
                long end = Math.min(at + merged.lengthBytes(), target.sizeBytes());
                while (at < end) {
                    int length = (int) Math.min(end - at, Chunk.MAX_DATA_BYTES);
                    int skew = (int) (at % OriginReader.ALIGNMENT_BYTES);
                    target.read(at - skew, length + skew, there, 0);
                    there.limit(skew + length).position(skew);
                    boolean same;
                    if (data == null) {
                        same = Zeroes.fill(there, skew, length);
                    } else {
                        int dataEnd = data.limit();
                        data.limit(data.position() + length);
                        same = data.equals(there);
                        data.limit(dataEnd).position(data.position() + length);
                    }
                    if (!same) {
                        differences.differs(at, length);
                    }
                    at += length;
                    compared += length;
                    progress.accept(length);
                }
            }
        }
        return compared;
    }
}
