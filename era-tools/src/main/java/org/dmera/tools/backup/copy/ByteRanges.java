// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.IOException;

/** Ranges of an origin in bytes, ascending, neither touching nor overlapping: what a copy is to hold. */
public interface ByteRanges {
    /**
     * Moves to the next range.
     *
     * @return false when there is none
     * @throws IOException when it can't be found out
     */
    boolean next() throws IOException;

    /** {@return where the range begins; a multiple of {@link OriginReader#ALIGNMENT_BYTES}} */
    long beginBytes();

    /** {@return where the range ends, exclusive} */
    long endBytes();

    /**
     * {@return one range that is everything: a full copy}
     *
     * @param sizeBytes of the origin
     */
    static ByteRanges all(long sizeBytes) {
        return new ByteRanges() {
            private boolean taken = sizeBytes == 0;

            @Override
            public boolean next() {
                boolean first = !taken;
                taken = true;
                return first;
            }

            @Override
            public long beginBytes() {
                return 0;
            }

            @Override
            public long endBytes() {
                return sizeBytes;
            }
        };
    }
}
