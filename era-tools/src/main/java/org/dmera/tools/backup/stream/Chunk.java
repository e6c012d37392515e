// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * One chunk in memory: its header and table, its data as they lie in the origin, and as they are stored. The buffers
 * are made once and reused; a chunk belongs to one thread at a time. In the stream, little-endian:
 *
 * <pre>
 *   0  u32  "CHNK"
 *   4  u32  EXTENTS       how many, 1 to 4096
 *   8  u64  SEQUENCE      from 0
 *  16  u32  DATA_BYTES    at most 1 MiB
 *  20  u32  STORED_BYTES  at most 1 MiB
 *  24  u32  ENCODING      0 as they are, 1 zstd
 *  28  u32  0
 *  32  u32  STORED_CRC    CRC32C of the stored bytes
 *  36  u32  HEAD_CRC      CRC32C of the stream's id, the 36 bytes before and the table
 *  40  16 × extents       u64 offset in the origin; u64 length, whose bit 63 says "zero": no data
 *  then the stored bytes: the data of the extents that are not zero, one after the other
 * </pre>
 *
 * <p>Worked example: the 88 bytes of header and table from byte 256 of {@code data.000002.incr.erastream} on. Blocks 3, 5 and 9
 * of 64 KiB were written, the second with zeroes.
 *
 * <pre>
 *     0  43 48 4e 4b 03 00 00 00 00 00 00 00 00 00 00 00
 *    16  00 00 02 00 00 00 02 00 00 00 00 00 00 00 00 00
 *    32  8d c9 34 c1 da 87 4e cb 00 00 03 00 00 00 00 00
 *    48  00 00 01 00 00 00 00 00 00 00 05 00 00 00 00 00
 *    64  00 00 01 00 00 00 00 80 00 00 09 00 00 00 00 00
 *    80  00 00 01 00 00 00 00 00
 *
 *  sequence() = 0   dataBytes() = 131072   streamBytes() = 131160   size() = 3
 *  offsetBytes(0) = 196608   lengthBytes(0) = 65536   isZero(0) = false
 *  offsetBytes(1) = 327680   lengthBytes(1) = 65536   isZero(1) = true
 *  offsetBytes(2) = 589824   lengthBytes(2) = 65536   isZero(2) = false
 * </pre>
 */
public final class Chunk {
    /** Bytes before the table. */
    public static final int HEADER_BYTES = 40;
    /** "CHNK". */
    static final int MAGIC = 0x4b4e4843;

    static final int EXTENTS = 4;
    static final int SEQUENCE = 8;
    static final int DATA_BYTES = 16;
    static final int STORED_BYTES = 20;
    static final int ENCODING = 24;
    static final int STORED_CRC = 32;
    static final int HEAD_CRC = 36;

    static final int ENCODING_RAW = 0;
    static final int ENCODING_ZSTD = 1;

    /** The most data that a chunk may hold, in bytes: bounds the memory of every reader. */
    public static final int MAX_DATA_BYTES = 1 << 20;

    /** O_DIRECT wants its memory and lengths aligned; no device or file system in use wants more than this. */
    public static final int ALIGNMENT_BYTES = 4096;

    final ByteBuffer head = ByteBuffer.allocateDirect(HEADER_BYTES + ExtentTable.MAX_EXTENTS * ExtentTable.ENTRY_BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    /** Made when it is first wanted: a copy that isn't compressed never does. */
    private ByteBuffer stored;

    final byte[] digest = new byte[32];
    private final ExtentTable extents = new ExtentTable();
    private final ByteBuffer data;
    /** The byte of the stream that it begins at. */
    long beginsAt;

    long sequence;
    int dataBytes;
    int storedBytes;
    boolean storedIsData;

    /** Makes the buffers, 2 MiB in all. */
    public Chunk() {
        data = LargeBuffers.take(MAX_DATA_BYTES + ALIGNMENT_BYTES);
    }

    /** The data as they are stored; empty, when they are stored as they are. */
    ByteBuffer stored() {
        if (stored == null) {
            stored = LargeBuffers.take(MAX_DATA_BYTES + ALIGNMENT_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        }
        return stored;
    }

    /**
     * {@return a zeroed buffer whose memory begins at a multiple of {@link #ALIGNMENT_BYTES}}
     *
     * @param bytes its capacity at least
     */
    public static ByteBuffer aligned(int bytes) {
        return ByteBuffer.allocateDirect(bytes + ALIGNMENT_BYTES).alignedSlice(ALIGNMENT_BYTES);
    }

    /** For messages: {@code stream}, which chunk of it, and where that is. */
    String where(String stream) {
        return stream + ": chunk " + sequence + " (at byte " + beginsAt + ")";
    }

    /** {@return the chunk's number in its stream, from 0} */
    public long sequence() {
        return sequence;
    }

    /** {@return its table, which is reused with the chunk} */
    public ExtentTable extents() {
        return extents;
    }

    /**
     * {@return the data of the extents that are not zero, one after the other, from index 0} The buffer is
     * {@link #ALIGNMENT_BYTES} longer than {@link #MAX_DATA_BYTES}; position and limit are the caller's to set.
     */
    public ByteBuffer data() {
        return data;
    }

    /** {@return how many bytes of {@link #data} count} */
    public int dataBytes() {
        return dataBytes;
    }

    /** {@return how many bytes the chunk takes in the stream} */
    public int streamBytes() {
        return HEADER_BYTES + extents.size() * ExtentTable.ENTRY_BYTES + storedBytes;
    }
}
