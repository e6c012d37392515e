// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/**
 * A device's state, which nobody sees before it is remembered; and the one place in which {@link Transition}s are applied to
 * it, so that an engine that is killed at any moment comes back with what somebody may have been told, or with more.
 *
 * <p>A change that can't be saved is none: the state stays as it is. The lock is held while the store writes, and never
 * while I/O drains.
 */
final class RememberedState {
    private final int minor;
    private final String id;
    private final DeviceStore store;
    private final EngineLog log;
    private volatile DeviceState now;

    // Guarded by this.
    /** What the store has; null before the first time, and when that is not known. */
    private DeviceRecord saved;

    private boolean forgotten;

    /**
     * @param id the device's own, which no other device ever has: names and numbers come again
     * @param saved what the store has of it, or null for nothing that would do
     */
    RememberedState(int minor, String id, DeviceState first, DeviceRecord saved, DeviceStore store, EngineLog log) {
        this.minor = minor;
        this.id = id;
        this.saved = saved;
        this.store = store;
        this.log = log;
        this.now = first;
    }

    DeviceState now() {
        return now;
    }

    String id() {
        return id;
    }

    /** As {@link #apply(String, Transition)}, by whatever name the device goes. */
    void apply(Transition change) throws IOException {
        apply("", change);
    }

    /**
     * Does all of {@code change}, in the order that {@link Transition} gives.
     *
     * @param known the name by which the device was found; empty for another way
     * @throws IOException why there was no change, as ENXIO where it has another name meanwhile; or, from {@link
     *     Transition#release} on, what went wrong with it
     */
    void apply(String known, Transition change) throws IOException {
        List<LoadedTable> replaced;
        requireCalled(known);
        try {
            change.prepare();
            replaced = saveAndPublish(known, change);
        } catch (IOException | RuntimeException | Error e) {
            change.undo(e);
            throw e;
        }
        try {
            change.release();
        } finally {
            replaced.forEach(table -> table.closeReplaced(log, now.name()));
        }
    }

    /** Returns the tables that are none of the device's any more. */
    private synchronized List<LoadedTable> saveAndPublish(String known, Transition change) throws IOException {
        requireRemembered();
        requireCalled(known);
        List<LoadedTable> replaced = new ArrayList<>();
        DeviceState next = change.next(now);
        if (next == null) {
            forget();
        } else {
            save(next.record(minor, id), change.mustBeSaved());
            replaced.addAll(now.tables());
            replaced.removeAll(next.tables());
            now = next;
        }
        change.publish();
        return replaced;
    }

    /** Whoever asked for the change is told an errno alone, so the log says the rest. */
    private void save(DeviceRecord record, boolean must) throws IOException {
        if (record.equals(saved)) {
            return;
        }
        // Until it is known what the store has.
        saved = null;
        try {
            store.save(record);
            saved = record;
        } catch (IOException e) {
            if (must) {
                log.error(now.name() + " can't be remembered in its new state, and so is not changed", e);
                throw e;
            }
            log.error("the state of " + now.name() + " is not saved", e);
        }
    }

    private void forget() throws IOException {
        // As in a save: a store that could not forget it may not have been able to put it back either.
        saved = null;
        try {
            store.delete(minor);
        } catch (IOException e) {
            log.error(now.name() + " can't be forgotten, and so is not removed", e);
            throw e;
        }
        forgotten = true;
    }

    /**
     * Publishes what {@code change} makes of the state, of which nothing is to be remembered.
     *
     * @throws ErrnoException ENXIO when the device is gone
     */
    synchronized void note(UnaryOperator<DeviceState> change) throws ErrnoException {
        requireRemembered();
        now = change.apply(now);
    }

    /** The same, of a device that may be gone. */
    synchronized void noteOfAny(UnaryOperator<DeviceState> change) {
        now = change.apply(now);
    }

    private void requireRemembered() throws ErrnoException {
        if (forgotten) {
            throw new ErrnoException("device " + now.name(), Errno.ENXIO);
        }
    }

    private void requireCalled(String known) throws ErrnoException {
        if (!known.isEmpty() && !known.equals(now.name())) {
            throw new ErrnoException("device " + known + ", which is called " + now.name() + " now", Errno.ENXIO);
        }
    }
}
