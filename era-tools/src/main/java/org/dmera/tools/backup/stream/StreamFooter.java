// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The last {@value #BYTES} bytes of a stream.
 *
 * @param chunks how many chunks the stream has
 * @param dataBytes bytes of the origin whose data the chunks carry, before compression
 * @param zeroBytes bytes of the origin that are named as zero
 * @param extents extents in all chunks
 * @param streamBytes bytes of the stream before the footer
 * @param digest SHA-256 of the stream's header followed by each chunk's digest in order
 */
@SuppressWarnings("ArrayRecordComponent")
public record StreamFooter(long chunks, long dataBytes, long zeroBytes, long extents, long streamBytes, byte[] digest) {
    public static final int BYTES = 96;
    /** "FOOT". */
    static final int MAGIC = 0x544f4f46;

    private static final int CRC = 92;

    ByteBuffer encode(byte[] streamId) {
        ByteBuffer b = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        b.putInt(MAGIC).putInt(BYTES).putLong(chunks).putLong(dataBytes).putLong(zeroBytes);
        b.putLong(extents).putLong(streamBytes).put(digest);
        int crc = new Checksums(streamId).seeded(b, CRC, BYTES);
        return b.clear().putInt(CRC, crc);
    }

    /** Reads a footer whose magic has been recognised. */
    static StreamFooter decode(ByteBuffer b, byte[] streamId, String where) throws StreamException {
        if (b.getInt(CRC) != new Checksums(streamId).seeded(b, CRC, BYTES)) {
            throw new StreamException(where, "the footer's checksum does not fit: damaged, or from another stream");
        }
        b.clear().position(8);
        byte[] digest = new byte[32];
        StreamFooter f = new StreamFooter(b.getLong(), b.getLong(), b.getLong(), b.getLong(), b.getLong(), digest);
        b.get(digest);
        return f;
    }
}
