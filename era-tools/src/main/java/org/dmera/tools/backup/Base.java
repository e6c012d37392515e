// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup;

import java.io.IOException;
import org.dmera.core.EraToken;
import org.dmera.tools.backup.stream.StreamHeader;

/**
 * What an increment builds on.
 *
 * @param era every write of eras below it is in the base
 * @param sizeBytes the origin's size then; what it grew by is copied whole
 * @param blockSizeBytes of the metadata then, 0 when that is not known
 * @param identity of the metadata then, or null when that is not known
 * @param history that the base's stream names, 0 when that is not known
 * @param token of the metadata then, or null when there is none
 */
public record Base(long era, long sizeBytes, long blockSizeBytes, String identity, long history, EraToken token) {
    /** For a full copy. */
    public static final Base NOTHING = new Base(0, 0, 0, null, 0, null);

    /** Whether this is {@link #NOTHING}; not by the record's equals, which the JVM needs 30 ms to put together. */
    boolean isNothing() {
        return era == 0 && sizeBytes == 0 && identity == null;
    }

    /** What a stream, called {@code name}, leaves on its target. */
    static Base after(StreamHeader header, String name) throws IOException {
        return new Base(
                header.newEra(),
                header.originSizeBytes(),
                header.blockSizeBytes(),
                header.identity(),
                header.history(),
                header.eraToken(name));
    }
}
