// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * One chunk in memory: its header and table, its data as they lie in the origin, and as they are stored. The buffers
 * are made once and reused; a chunk belongs to one thread at a time.
 *
 * <p>Header ({@value #HEADER_BYTES} bytes): u32 magic, u32 extents, u64 sequence number, u32 data bytes, u32 stored
 * bytes, u32 encoding, u32 zero, u32 CRC32C of the stored bytes, u32 CRC32C of the stream id, the 36 bytes before this
 * field and the table.
 */
public final class Chunk {
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
    long sequence;
    int dataBytes;
    int storedBytes;
    boolean storedIsData;

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

    /** A zeroed buffer whose memory begins at a multiple of {@link #ALIGNMENT_BYTES}. */
    public static ByteBuffer aligned(int bytes) {
        return ByteBuffer.allocateDirect(bytes + ALIGNMENT_BYTES).alignedSlice(ALIGNMENT_BYTES);
    }

    /** The chunk's number in its stream, from 0. */
    public long sequence() {
        return sequence;
    }

    public ExtentTable extents() {
        return extents;
    }

    /**
     * The data of the extents that are not zero, one after the other, from index 0; {@link #ALIGNMENT_BYTES} longer than
     * {@link #MAX_DATA_BYTES}. Position and limit are the caller's to set.
     */
    public ByteBuffer data() {
        return data;
    }

    /** How much of {@link #data} counts. */
    public int dataBytes() {
        return dataBytes;
    }

    /** What the chunk takes in the stream. */
    public int streamBytes() {
        return HEADER_BYTES + extents.size() * ExtentTable.ENTRY_BYTES + storedBytes;
    }
}
