// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The last {@value #BYTES} bytes of a stream, little-endian.
 *
 * <pre>
 *   0  u32  "FOOT"
 *   4  u32  bytes of the footer: 96
 *   8  u64  chunks
 *  16  u64  data bytes
 *  24  u64  zero bytes
 *  32  u64  extents
 *  40  u64  stream bytes
 *  48  32   digest
 *  80  12   0
 *  92  u32  CRC  CRC32C of the stream's id and the 92 bytes before
 * </pre>
 *
 * <p>Worked example: the last 96 bytes of {@code data.000002.incr.erastream}, whose header and chunk are shown at
 * {@link StreamHeader} and {@link Chunk}.
 *
 * <pre>
 *     0  46 4f 4f 54 60 00 00 00 01 00 00 00 00 00 00 00
 *    16  00 00 02 00 00 00 00 00 00 00 01 00 00 00 00 00
 *    32  03 00 00 00 00 00 00 00 58 01 02 00 00 00 00 00
 *    48  0b 4e e5 cf a2 33 5b f8 c0 c0 97 1d bd 0d df d3
 *    64  95 04 99 2d d8 6c 88 8e 66 0b b8 30 39 d0 3d 80
 *    80  00 00 00 00 00 00 00 00 00 00 00 00 5d 93 20 76
 *
 *  chunks() = 1   dataBytes() = 131072   zeroBytes() = 65536   extents() = 3   streamBytes() = 131416
 * </pre>
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
    /** Bytes of a footer. */
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
