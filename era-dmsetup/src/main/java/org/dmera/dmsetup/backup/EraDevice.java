// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;

/** A running era device, as far as a backup has to do with it. */
interface EraDevice extends Closeable {
    String name();

    /** Where its metadata is. */
    Path metadata();

    /** Where its data are. */
    Path origin();

    /** Its size: what its table line covers of the origin. */
    long sizeBytes();

    long currentEra() throws IOException;

    /** Begins a new era and returns it. */
    long checkpoint() throws IOException;

    /**
     * Waits until no write that was marked in an earlier era can still be on its way to the origin.
     *
     * @return false when that isn't known
     */
    boolean awaitEarlierWrites() throws IOException;

    /** The metadata block of the held snapshot, or −1 for none. */
    long snapshotBlock() throws IOException;

    void takeSnapshot() throws IOException;

    void dropSnapshot() throws IOException;
}
