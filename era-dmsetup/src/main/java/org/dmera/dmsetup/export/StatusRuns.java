// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.nio.ByteBuffer;

/**
 * The runs of one BLOCK_STATUS answer, in the form in which they are sent.
 *
 * <p>Most answers hold a few, and fit in a buffer that every connection may have. One with more moves to a buffer for
 * {@value #MAX_RUNS}, so that a client gets the map of a device in one answer, or in few: each further one costs it a round trip, and
 * here the look at metadata that were looked at before. The client may be slow to take such an answer, so it counts as a
 * payload that is still to come; where there is no memory for it, the answer ends with what the small buffer holds.
 */
final class StatusRuns implements Closeable {
    /** At most, in the largest of buffers. Twice as many as qemu sends, and far less than clients take. */
    static final int MAX_RUNS = (BufferPool.LARGEST_BYTES - StatusRuns.HEADER_BYTES) / 16;
    /** Room in front for the header of a chunk. */
    private static final int HEADER_BYTES = 64;

    private static final int SMALL_BYTES = 32 << 10;
    /** A run's length without extended headers: 32 bits, kept to a multiple of all block sizes in use. */
    private static final long MAX_NARROW_BYTES = 1L << 31;

    private final NbdMemory memory;
    private final boolean wide;
    private final ByteBuffer small;
    /** Null until it is needed; the runs are in it once it is there. */
    private ByteBuffer large;

    private ByteBuffer out;
    private int count;

    /** None yet; {@code wide} with 64 bits for lengths and for statuses, else with 32. */
    StatusRuns(NbdMemory memory, boolean wide) {
        this.memory = memory;
        this.wide = wide;
        this.small = memory.pool().take(SMALL_BYTES);
        clear();
    }

    /** Forgets all. */
    void clear() {
        out = large != null ? large : small;
        out.clear().position(HEADER_BYTES);
        count = 0;
    }

    /** How many there are. */
    int count() {
        return count;
    }

    /** How many bytes they take. */
    int bytes() {
        return out.position() - HEADER_BYTES;
    }

    /** The longest run that one entry can hold, in bytes. */
    long maxRunBytes() {
        return wide ? Long.MAX_VALUE : MAX_NARROW_BYTES;
    }

    /** Makes room for one more; false when there is none. */
    boolean hasRoom() {
        int bytes = wide ? 16 : 8;
        if (out.remaining() >= bytes && count < MAX_RUNS) {
            return true;
        }
        if (large != null || count >= MAX_RUNS) {
            return false;
        }
        large = memory.takeForAnswer(HEADER_BYTES + MAX_RUNS * bytes);
        if (large == null) {
            return false;
        }
        out = large.put(small.flip());
        return true;
    }

    /** Adds one, for which there is room. */
    void add(long lengthBytes, long status) {
        if (wide) {
            out.putLong(lengthBytes).putLong(status);
        } else {
            out.putInt((int) Math.min(lengthBytes, MAX_NARROW_BYTES)).putInt((int) status);
        }
        count++;
    }

    /** They are too many to be copied to where other answers are. */
    boolean isLong() {
        return bytes() > SMALL_BYTES;
    }

    /** Puts them behind other answers. */
    void copyTo(ByteBuffer answers) {
        answers.put(out.slice(HEADER_BYTES, bytes()));
    }

    /** The memory that they are in, at the place of a header of so many bytes in front of them; its limit is their end. */
    ByteBuffer withHeader(int headerBytes) {
        ByteBuffer whole = out.duplicate().flip();
        return whole.position(HEADER_BYTES - headerBytes);
    }

    @Override
    public void close() {
        memory.pool().give(small);
        if (large != null) {
            memory.giveAnswer(large);
        }
    }
}
