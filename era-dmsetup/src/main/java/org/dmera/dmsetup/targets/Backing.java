// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.Closeable;
import java.io.IOException;

/**
 * What a target sits on: a regular file, a block device, or another mapped device of the same engine.
 *
 * <p>I/O as in {@link Target}, by byte offset within the backing; thread-safe. A flush fails when writes that have returned were
 * lost; and always from then on, until it is opened again: the system tells of a loss only once, and a later success would say
 * nothing of those writes.
 */
public interface Backing extends BlockIo, Closeable {
    /** How a table prints it: {@code major:minor}, or the absolute path of a plain file, which has none. */
    String display();

    /** Its number as {@link org.dmera.dmsetup.ioctl.DevNumber} encodes it, or −1 for a plain file. */
    long device();

    /** Size in bytes when it was opened. */
    long sizeBytes();

    /** Two backings with equal identities are the same thing: the same file or device, opened twice. */
    default Object identity() {
        return this;
    }

    /**
     * What it is, as text without white space that still tells it from others after a restart, whatever its name leads to
     * then; empty for what is not remembered.
     */
    default String remembered() {
        return "";
    }

    /** Adds where the range lies in the end: for a mapped device, what its tables lead to. */
    default void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        areas.add(identity(), offsetBytes, lengthBytes);
    }

    /**
     * A {@link #flush}, for whoever begins an era or suspends: also while a mapped device beneath is suspended, which holds requests
     * back and has nothing under way.
     */
    default void sync() throws IOException {
        flush();
    }

    /**
     * Why writes that had returned since it was opened are lost, as far as anybody was told; or null. Once it is told of one, it
     * is for as long as it is open.
     */
    default IOException loss() {
        return null;
    }

    /** What it failed to make durable does not count any more: what lies on it is read anew. */
    default void forgetLoss() {}
}
