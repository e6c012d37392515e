// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;

/**
 * The extents of one chunk, ascending: each an offset in the origin, a length in bytes, and whether it is zero (and
 * then has no data in the chunk).
 *
 * <p>On disk an entry is two u64: the offset; the length, whose top bit says "zero". The table is reused from chunk to
 * chunk, so it allocates nothing.
 */
public final class ExtentTable {
    /** The most that a chunk may hold. */
    public static final int MAX_EXTENTS = 4096;

    /** Bytes of an entry in a stream: u64 offset, u64 length whose bit 63 says "zero". */
    public static final int ENTRY_BYTES = 16;

    private static final long ZERO_BIT = 1L << 63;

    private long[] offsets;
    private long[] lengths;
    private int size;

    /** For as many as there may be. */
    public ExtentTable() {
        this(MAX_EXTENTS);
    }

    /**
     * For a table that only takes over what others hold ({@link #set}), and grows with it.
     *
     * @param capacity room for so many to begin with
     */
    public ExtentTable(int capacity) {
        offsets = new long[capacity];
        lengths = new long[capacity];
    }

    /** Takes all extents out. */
    public void clear() {
        size = 0;
    }

    /**
     * Takes over what another table holds.
     *
     * @param other stays as it is
     */
    public void set(ExtentTable other) {
        size = other.size;
        if (offsets.length < size) {
            offsets = new long[size];
            lengths = new long[size];
        }
        System.arraycopy(other.offsets, 0, offsets, 0, size);
        System.arraycopy(other.lengths, 0, lengths, 0, size);
    }

    /** {@return how many extents there are} */
    public int size() {
        return size;
    }

    /** {@return whether there are as many as there may be} */
    public boolean isFull() {
        return size == MAX_EXTENTS;
    }

    /**
     * Adds an extent; one that goes on where the last of its kind ends is joined to it.
     *
     * @param offsetBytes where it begins in the origin, not before the end of the last
     * @param lengthBytes more than 0
     * @param zero whether it reads as zero, and has no data
     */
    public void add(long offsetBytes, long lengthBytes, boolean zero) {
        long kind = zero ? ZERO_BIT : 0;
        if (size > 0
                && offsets[size - 1] + lengthBytes(size - 1) == offsetBytes
                && (lengths[size - 1] & ZERO_BIT) == kind) {
            lengths[size - 1] += lengthBytes;
            return;
        }
        offsets[size] = offsetBytes;
        lengths[size] = lengthBytes | kind;
        size++;
    }

    /**
     * {@return where an extent begins in the origin, in bytes}
     *
     * @param i 0 to {@code size() − 1}
     */
    public long offsetBytes(int i) {
        return offsets[i];
    }

    /**
     * {@return the length of an extent, in bytes}
     *
     * @param i 0 to {@code size() − 1}
     */
    public long lengthBytes(int i) {
        return lengths[i] & ~ZERO_BIT;
    }

    /**
     * {@return whether an extent reads as zero, and has no data}
     *
     * @param i 0 to {@code size() − 1}
     */
    public boolean isZero(int i) {
        return lengths[i] < 0;
    }

    /**
     * {@return the sum of the lengths of the extents of one kind}
     *
     * @param zero which kind
     */
    public long totalBytes(boolean zero) {
        long sum = 0;
        for (int i = 0; i < size; i++) {
            if (isZero(i) == zero) {
                sum += lengthBytes(i);
            }
        }
        return sum;
    }

    void encode(ByteBuffer b) {
        for (int i = 0; i < size; i++) {
            b.putLong(offsets[i]).putLong(lengths[i]);
        }
    }

    /** Takes {@code count} entries from {@code b} as they are: {@link #check} judges them. */
    void decode(ByteBuffer b, int count) {
        size = count;
        for (int i = 0; i < count; i++) {
            offsets[i] = b.getLong();
            lengths[i] = b.getLong();
        }
    }

    /**
     * Says what is wrong with the table, or null.
     *
     * @param fromBytes where the previous chunk's last extent ended
     * @param originSizeBytes no extent may reach past it
     * @param dataBytes what the chunk's header says that its data are
     */
    String check(long fromBytes, long originSizeBytes, int dataBytes) {
        long at = fromBytes;
        long data = 0;
        for (int i = 0; i < size; i++) {
            long length = lengthBytes(i);
            if (offsets[i] < at) {
                return "extent " + i + " begins at byte " + offsets[i] + " of the origin, before the end of the one"
                        + " before it at " + at;
            }
            if (length == 0 || offsets[i] > originSizeBytes || length > originSizeBytes - offsets[i]) {
                return "extent " + i + " (" + length + " bytes at " + offsets[i] + ") does not lie in the origin of "
                        + originSizeBytes + " bytes";
            }
            at = offsets[i] + length;
            data += isZero(i) ? 0 : length;
        }
        return data == dataBytes ? null : "its extents hold " + data + " bytes of data, its header says " + dataBytes;
    }

    /** Where the last extent ends. */
    long endBytes() {
        return offsets[size - 1] + lengthBytes(size - 1);
    }
}
