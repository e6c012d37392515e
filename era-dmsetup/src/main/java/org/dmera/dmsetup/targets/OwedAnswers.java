// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

/** The answers to writes that are done, or under way, which clients have not been sent yet. */
@FunctionalInterface
public interface OwedAnswers {
    /** Is told of a write to the target. */
    @FunctionalInterface
    interface Writes {
        void write(long offsetBytes, long lengthBytes);
    }

    /**
     * Waits for the answers that are owed now, for a moment at most, since a client may be as slow as it likes. Those that
     * have not been sent even then are told to {@code stillOwed}.
     */
    void awaitOrReport(Writes stillOwed);
}
