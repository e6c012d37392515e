// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.Closeable;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/**
 * One line of a table: a run of a mapped device's sectors, and what happens to I/O on it.
 *
 * <p><b>I/O</b> comes from many threads at once and blocks until it is done. Offsets are bytes from the target's first
 * sector; the caller has cut requests at target borders, so every request lies inside the target. A failure is an
 * {@link IOException}; an {@link ErrnoException} says which errno the client gets (others are EIO).
 *
 * <p><b>Life</b>: constructed by {@link TargetFactory#load} (a table load), then {@link #resume} when its table goes live
 * and after each suspend, {@link #suspend} when the device has no I/O in flight any more, {@link #close} in the end. These
 * come from one thread at a time. {@link #status}, {@link #message} come at any time between load and close.
 */
public interface Target extends BlockIo, Closeable {
    /** {@code REQ_FUA}: the data is durable before the call returns. */
    int FUA = 1;
    /** Write-zeroes: the range must stay allocated. */
    int NO_HOLE = 2;
    /** Write-zeroes: fail with EOPNOTSUPP rather than being slower than a write would be. */
    int FAST_ZERO = 4;

    /** The target type's name, as in a table line. */
    String type();

    /**
     * Makes every write that has returned durable on what lies beneath, before a suspend: whoever looks there meanwhile, past
     * the page cache, finds all that was acknowledged.
     */
    default void sync() throws IOException {
        for (Backing backing : dependencies()) {
            backing.sync();
        }
    }

    /** As {@link Backing#loss}, of what lies beneath. */
    default IOException loss() {
        return dependencies().stream()
                .map(Backing::loss)
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
    }

    /** Told when what a write waited for is done. */
    @FunctionalInterface
    interface Prepared {
        /** {@code failure} is null, or why the write must fail. */
        void prepared(IOException failure);
    }

    /** The table has gone live, or the device goes on after a suspend. */
    default void resume() throws IOException {}

    /** The device has been suspended; its I/O is finished. */
    default void suspend() throws IOException {}

    /** The device has another table from now on, and takes no request until this returns; {@link #close} comes later. */
    default void replaced() {}

    /** A device beneath has another table from now on, and takes no request until this returns, which waits for none. */
    default void replacedBeneath() {}

    /**
     * Gives up memory that it can fill again from what lies beneath: the engine has nothing to do. At any time between load and
     * close; waits for what is under way.
     *
     * @throws IOException when it is closed, and has none
     */
    default void releaseMemory() throws IOException {}

    /** The parameter text of the table line (STATUS_TABLE), after {@code start length type}. */
    String table();

    /** The status text after {@code start length type}; never blocks for long, also when suspended. */
    String status();

    /**
     * A message, its words split at white space.
     *
     * @return the text of an answer, or null when there is none
     * @throws ErrnoException EINVAL for a word that is not understood, EBUSY when suspended
     */
    default String message(List<String> words) throws IOException {
        throw new ErrnoException(type() + ": unsupported message", Errno.EINVAL);
    }

    /** Adds where the range lies in the end, as {@link Backing#storage}; by default everywhere beneath. */
    default void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        for (Backing backing : dependencies()) {
            backing.storage(0, backing.sizeBytes(), areas);
        }
    }

    /** The devices and files beneath it, each once. */
    List<Backing> dependencies();
}
