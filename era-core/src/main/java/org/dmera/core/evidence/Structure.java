// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

/** The parts of the metadata that damage is attributed to. */
public enum Structure {
    SUPERBLOCK("superblock"),
    SNAPSHOT("metadata snapshot"),
    SPACE_MAP_INDEX("space map index"),
    SPACE_MAP_BITMAP("space map bitmap"),
    REF_COUNT_TREE("ref-count tree"),
    /** The counts as such, wherever they are stored. */
    REF_COUNTS("reference counts"),
    WRITESET_TREE("writeset tree"),
    WRITESET("writeset"),
    CURRENT_WRITESET("current writeset"),
    ERA_ARRAY("era array");

    private final String label;

    Structure(String label) {
        this.label = label;
    }

    /** What it is called in reports. */
    public String label() {
        return label;
    }

    /** Whether it can be written anew from the trees alone. */
    public boolean isSpaceMap() {
        return this == SPACE_MAP_INDEX || this == SPACE_MAP_BITMAP || this == REF_COUNT_TREE || this == REF_COUNTS;
    }
}
