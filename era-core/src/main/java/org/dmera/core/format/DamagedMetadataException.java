// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.io.IOException;

/** The metadata isn't what the format asks for. The message says where, what, and what was expected, on one line. */
public final class DamagedMetadataException extends IOException {
    private static final long serialVersionUID = 1L;

    private final long blockNr;

    /** @param blockNr the metadata block that is damaged or referred to wrongly, or −1 when it can't be named */
    public DamagedMetadataException(long blockNr, String message) {
        super(message);
        this.blockNr = blockNr;
    }

    /** {@code problem} says what was found in block {@code blockNr}, part of {@code structure}, and what was expected. */
    public DamagedMetadataException(long blockNr, String structure, String problem) {
        this(blockNr, "metadata block " + Long.toUnsignedString(blockNr) + " (" + structure + "): " + problem);
    }

    /** The metadata block that is damaged or referred to wrongly, or −1 when it can't be named. */
    public long blockNr() {
        return blockNr;
    }
}
