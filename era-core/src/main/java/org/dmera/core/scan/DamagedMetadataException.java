// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.scan;

import java.io.IOException;

/** The metadata isn't what the format asks for. The message says where, what, and what was expected, on one line. */
public final class DamagedMetadataException extends IOException {
    private final long blockNr;

    /** @param blockNr the metadata block that is damaged, or −1 when it can't be named */
    public DamagedMetadataException(long blockNr, String message) {
        super(message);
        this.blockNr = blockNr;
    }

    /** The metadata block that is damaged, or −1 when it can't be named. */
    public long blockNr() {
        return blockNr;
    }
}
