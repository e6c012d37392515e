// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

/** Names a place in the metadata for a report; asked only when there is something to report. */
public interface DamageLocation {
    Structure structure();

    /** The way there from the superblock. */
    String path();

    /** What repair would do about damage here; empty for a note. */
    String consequence();

    /** A place whose names are known. */
    static DamageLocation of(Structure structure, String path, String consequence) {
        return new Named(structure, path, consequence);
    }

    /** See {@link #of}. */
    record Named(Structure structure, String path, String consequence) implements DamageLocation {}
}
