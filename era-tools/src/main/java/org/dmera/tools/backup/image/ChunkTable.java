// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.image;

import org.dmera.tools.backup.stream.ExtentTable;

/** The extents of one chunk, in as little memory as they take. */
final class ChunkTable {
    private static final int OBJECT_BYTES = 96;

    private final long[] offsets;
    private final long[] lengths;
    private final int[] dataAt;
    private final long nextPlace;

    /** {@code dataAt} of an extent that is zero. */
    static final int ZERO = -1;

    /** {@code nextPlace}: where the next chunk begins in the file. */
    ChunkTable(ExtentTable extents, long nextPlace) {
        int n = extents.size();
        offsets = new long[n];
        lengths = new long[n];
        dataAt = new int[n];
        this.nextPlace = nextPlace;
        int at = 0;
        for (int i = 0; i < n; i++) {
            offsets[i] = extents.offsetBytes(i);
            lengths[i] = extents.lengthBytes(i);
            dataAt[i] = extents.isZero(i) ? ZERO : at;
            at += extents.isZero(i) ? 0 : (int) lengths[i];
        }
    }

    int memoryBytes() {
        return OBJECT_BYTES + offsets.length * (2 * Long.BYTES + Integer.BYTES);
    }

    long nextPlace() {
        return nextPlace;
    }

    int size() {
        return offsets.length;
    }

    long begin(int i) {
        return offsets[i];
    }

    long end(int i) {
        return offsets[i] + lengths[i];
    }

    /** Where the last extent ends. */
    long end() {
        return end(offsets.length - 1);
    }

    /** Where the extent's data begin in the chunk's; {@link #ZERO} when it is zero. */
    int dataAt(int i) {
        return dataAt[i];
    }

    /** The last extent that begins at or before {@code offset}; −1 when all begin behind it. */
    int extentBefore(long offset) {
        int low = 0;
        int high = offsets.length;
        while (low < high) {
            int middle = low + high >>> 1;
            if (offsets[middle] <= offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low - 1;
    }
}
