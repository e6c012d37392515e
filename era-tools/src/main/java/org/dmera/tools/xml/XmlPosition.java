// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.xml;

/** Inside which elements a reader of metadata XML is. */
enum XmlPosition {
    /** Nothing has been read. */
    START("", 0, 0),
    IN_SUPERBLOCK("<superblock>", 1, 0),
    IN_WRITESET("<superblock><writeset>", 2, 0),
    IN_ERA_ARRAY("<superblock><era_array>", 2, 0),
    /** After the end tag of the superblock. */
    END("<superblock></superblock>", 1, 1);

    /** A document that brings a parser to here. */
    final String opening;
    /** Start tags in it, and end tags. */
    final int starts;

    final int ends;

    XmlPosition(String opening, int starts, int ends) {
        this.opening = opening;
        this.starts = starts;
        this.ends = ends;
    }
}
