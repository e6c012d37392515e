// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;

/** A target that knows when each of its blocks was last written. */
public interface ChangeTracking {
    /** The era that writes are counted in now; an unsigned 32-bit number. */
    int currentEra();

    /** The first era that may be given to writes that can't be read yet: the current one, unless nothing is written any more. */
    default int newEra() {
        return currentEra();
    }

    /** What one mark stands for. */
    long blockSizeBytes();

    /**
     * The record that the numbers of its eras belong to: another object when the target goes on with other metadata. Kept
     * by tables that go on with the same.
     */
    Object lineage();

    /**
     * Visits the range in ascending order as runs of bytes that were last written in the same era, from the live
     * metadata and the writes marked in core. A block that was never written has era 0.
     *
     * <p>Every write that was answered before the call is seen.
     *
     * @return false when the visitor has had enough
     */
    boolean lastWritten(long offsetBytes, long lengthBytes, EraRuns visitor) throws IOException;

    /** Takes runs of bytes with the era of their last write. */
    @FunctionalInterface
    interface EraRuns {
        /** The next {@code lengthBytes} bytes have {@code era} (unsigned); false to hear no more. */
        boolean run(long lengthBytes, int era) throws IOException;

        /**
         * The next bytes lie on blocks of {@code blockSizeBytes} whose eras (unsigned) are {@code eras}: those from
         * {@code fromBytes} up to {@code endBytes}, both counted from where the first block begins. A visitor that has a
         * faster way than to be called for each run takes them as they are; they are the target's again afterwards.
         *
         * @return false to hear no more
         */
        default boolean blocks(int[] eras, long blockSizeBytes, long fromBytes, long endBytes) throws IOException {
            long at = fromBytes;
            while (at < endBytes) {
                int block = (int) (at / blockSizeBytes);
                int era = eras[block];
                long runEnd = (block + 1) * blockSizeBytes;
                while (runEnd < endBytes && eras[++block] == era) {
                    runEnd += blockSizeBytes;
                }
                runEnd = Math.min(runEnd, endBytes);
                if (!run(runEnd - at, era)) {
                    return false;
                }
                at = runEnd;
            }
            return true;
        }
    }
}
