// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.List;

/** A target type: makes targets from table lines. */
public interface TargetFactory {
    /** The type's name in a table line. */
    String type();

    /** Its version, as {@code dmsetup targets} prints it: major, minor, patch level. */
    int[] version();

    /**
     * Makes a target for a table line.
     *
     * @param lengthSectors the line's length in sectors of 512 bytes
     * @param arguments the words after the type
     * @param backings opens what the line names; what it opened is closed by the target's close, or before this throws
     * @throws TableException with the reason that the kernel would log, and its errno
     */
    Target load(long lengthSectors, List<String> arguments, BackingOpener backings) throws TableException, IOException;

    /**
     * Looks again whether what this type's targets are on may be shared as it is, after a device that may lie beneath them was
     * given a table.
     */
    default void checkSharing() throws TableException {}

    /** Opens what a table line names: a path, {@code major:minor}, {@code /dev/mapper/NAME} or {@code engine:NAME}. */
    interface BackingOpener {
        /** Opens for reading and writing (for reading only, when the device is created read-only). */
        Backing open(String name) throws IOException;

        /** Opens what a target keeps its own records on: for writing even when the device is created read-only. */
        default Backing openMetadata(String name) throws IOException {
            return open(name);
        }

        /** The mapped device that the table is for: the same object for each of its tables. */
        default Object owner() {
            return this;
        }
    }
}
