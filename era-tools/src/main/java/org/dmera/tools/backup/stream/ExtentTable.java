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

    public static final int ENTRY_BYTES = 16;
    private static final long ZERO_BIT = 1L << 63;

    private final long[] offsets = new long[MAX_EXTENTS];
    private final long[] lengths = new long[MAX_EXTENTS];
    private int size;

    public void clear() {
        size = 0;
    }

    public int size() {
        return size;
    }

    public boolean isFull() {
        return size == MAX_EXTENTS;
    }

    /** Adds an extent; one that goes on where the last of its kind ends is joined to it. */
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

    public long offsetBytes(int i) {
        return offsets[i];
    }

    public long lengthBytes(int i) {
        return lengths[i] & ~ZERO_BIT;
    }

    public boolean isZero(int i) {
        return lengths[i] < 0;
    }

    /** Sum of the lengths of the extents that are not zero, or that are. */
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
