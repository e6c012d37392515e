// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.IOException;

/** Ranges of an origin in bytes, ascending, neither touching nor overlapping: what a copy is to hold. */
public interface ByteRanges {
    /** Moves to the next range; false when there is none. */
    boolean next() throws IOException;

    /** Where the range begins; a multiple of {@link OriginReader#ALIGNMENT_BYTES}. */
    long beginBytes();

    /** Where the range ends, exclusive. */
    long endBytes();

    /** One range from 0 to {@code sizeBytes}: a full copy. */
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
