// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

/** Names a place in the metadata for a report; asked only when there is something to report. */
public interface DamageLocation {
    Structure structure();

    /** The way there from the superblock. */
    String path();

    /** What repair would do about damage here. */
    String consequence();
}
