// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.io.IOException;

/** The metadata isn't what the format asks for. The message says where, what, and what was expected, on one line. */
public final class DamagedMetadataException extends IOException {
    private static final long serialVersionUID = 1L;

    /** The metadata block that is damaged or referred to wrongly (u64), or −1 when it can't be named. */
    private final long blockNr;

    /**
     * With a whole message.
     *
     * @param blockNr the metadata block that is damaged or referred to wrongly (u64), or −1 when it can't be named
     * @param message where, what, and what was expected, on one line
     */
    public DamagedMetadataException(long blockNr, String message) {
        super(message);
        this.blockNr = blockNr;
    }

    /**
     * With a message about one block.
     *
     * @param blockNr the metadata block that is damaged or referred to wrongly (u64)
     * @param structure what it is part of, for messages
     * @param problem what was found in it, and what was expected
     */
    public DamagedMetadataException(long blockNr, String structure, String problem) {
        this(blockNr, "metadata block " + Long.toUnsignedString(blockNr) + " (" + structure + "): " + problem);
    }

    /** {@return the metadata block that is damaged or referred to wrongly (u64), or −1 when it can't be named} */
    public long blockNr() {
        return blockNr;
    }
}
