// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.util.List;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.HeaderRules;
import org.dmera.core.format.Severity;

/**
 * A rule of the format that is broken. What follows from it is for the listener of a walk to decide.
 *
 * @param kind the rule
 * @param blockNr the metadata block at fault (u64), or {@link #NO_BLOCK}
 * @param detail what was found and what was expected
 * @param cause the device's failure, if it is the device that failed; else null
 */
public record Problem(DamageKind kind, long blockNr, String detail, IOException cause) {
    /** In place of a block number when no block in particular is at fault. */
    public static final long NO_BLOCK = -1;

    /** A problem of what is on the device. */
    public static Problem of(DamageKind kind, long blockNr, String detail) {
        return new Problem(kind, blockNr, detail, null);
    }

    /** Rules of {@link HeaderRules} that the header of a sealed block breaks. */
    public static Problem badHeader(long blockNr, List<String> problems) {
        return of(DamageKind.BAD_HEADER, blockNr, HeaderRules.message(problems));
    }

    /** A reference that leads where no block can be in use. */
    public static Problem outOfRange(long blockNr, long sizeBlocks) {
        return of(DamageKind.OUT_OF_RANGE, blockNr, "expected a block from 1 to " + (sizeBlocks - 1));
    }

    /**
     * The policy of those who read what they use: the first broken rule ends it. A mere peculiarity doesn't.
     *
     * @param structure what is read, for the message: {@code era array}
     */
    void failFast(String structure) throws IOException {
        if (cause != null) {
            throw cause;
        }
        if (kind.severity() == Severity.NOTE) {
            return;
        }
        String where = blockNr == NO_BLOCK
                ? ": "
                : kind == DamageKind.OUT_OF_RANGE
                        ? ": refers to block " + Long.toUnsignedString(blockNr) + ", "
                        : ": block " + Long.toUnsignedString(blockNr) + ": ";
        throw new DamagedMetadataException(kind, blockNr, structure, structure + where + detail);
    }
}
