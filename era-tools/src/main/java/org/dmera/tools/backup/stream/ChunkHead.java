// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;

/** The three steps in which a chunk's header and table, read into {@link Chunk#head}, are judged and taken over. */
final class ChunkHead {
    private ChunkHead() {}

    /**
     * Judges the first {@link Chunk#HEADER_BYTES} and takes the lengths of the data from them.
     *
     * @param where names the stream, the chunk and its byte, for messages
     * @return how many bytes header and table have together
     */
    static int begin(Chunk chunk, String where) throws StreamException {
        ByteBuffer head = chunk.head;
        if (head.getInt(0) != Chunk.MAGIC) {
            throw new StreamException(where, "damaged: neither a chunk nor the footer begins here");
        }
        int count = head.getInt(Chunk.EXTENTS);
        chunk.dataBytes = head.getInt(Chunk.DATA_BYTES);
        chunk.storedBytes = head.getInt(Chunk.STORED_BYTES);
        if (count <= 0 || count > ExtentTable.MAX_EXTENTS || outside(chunk.dataBytes) || outside(chunk.storedBytes)) {
            throw new StreamException(where, "damaged: its header holds an impossible count or length");
        }
        return Chunk.HEADER_BYTES + count * ExtentTable.ENTRY_BYTES;
    }

    /** Judges the checksum of header and table, and takes the chunk's number from them. */
    static void verify(Chunk chunk, int headBytes, Checksums sums, String where) throws StreamException {
        ByteBuffer head = chunk.head;
        if (head.getInt(Chunk.HEAD_CRC) != sums.seeded(head, Chunk.HEAD_CRC, headBytes)) {
            throw new StreamException(
                    where, "the checksum of its header and extents does not fit: damaged, or from another stream");
        }
        chunk.sequence = head.getLong(Chunk.SEQUENCE);
    }

    /** Takes the table, whose extents begin no earlier than {@code fromBytes}. */
    static void takeTable(Chunk chunk, int headBytes, long fromBytes, long originSizeBytes, String where)
            throws StreamException {
        ByteBuffer head = chunk.head;
        head.limit(headBytes).position(Chunk.HEADER_BYTES);
        chunk.extents().decode(head, (headBytes - Chunk.HEADER_BYTES) / ExtentTable.ENTRY_BYTES);
        String wrong = chunk.extents().check(fromBytes, originSizeBytes, chunk.dataBytes);
        if (wrong != null) {
            throw new StreamException(where, wrong);
        }
    }

    private static boolean outside(int bytes) {
        return bytes < 0 || bytes > Chunk.MAX_DATA_BYTES;
    }
}
