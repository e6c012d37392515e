// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.concurrent.locks.ReentrantLock;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/**
 * A device's state, which nobody sees before it is remembered: a change is saved first and published second, so that an
 * engine that is killed at any moment comes back with what somebody may have been told, or with more.
 *
 * <p>A change that can't be saved is none: the state stays as it is. The lock is held while the store writes, and never
 * while I/O drains.
 */
final class RememberedState {
    /** Makes the next state from the present one; a refusal is thrown. */
    interface Change {
        DeviceState of(DeviceState now) throws IOException;
    }

    private final int minor;
    private final String id;
    private final DeviceStore store;
    private final EngineLog log;
    private final ReentrantLock recording = new ReentrantLock();
    private volatile DeviceState now;
    private boolean forgotten;

    /** {@code id} is the device's own, which no other device ever has: names and numbers come again. */
    RememberedState(int minor, String id, DeviceState first, DeviceStore store, EngineLog log) {
        this.minor = minor;
        this.id = id;
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

    /** Saves the first state: the device is remembered from now on. */
    void begin() throws IOException {
        recording.lock();
        try {
            save(now.record(minor, id));
        } finally {
            recording.unlock();
        }
    }

    /** Saves what {@code change} makes of the state, then publishes it. */
    void change(Change change) throws IOException {
        change(change, () -> {});
    }

    /** The same; {@code published} runs before the next change can begin. */
    void change(Change change, Runnable published) throws IOException {
        recording.lock();
        try {
            requireRemembered();
            DeviceState next = change.of(now);
            DeviceRecord record = next.record(minor, id);
            if (!record.equals(now.record(minor, id))) {
                save(record);
            }
            now = next;
            published.run();
        } finally {
            recording.unlock();
        }
    }

    /** Whoever asked for the change is told an errno alone. */
    private void save(DeviceRecord record) throws IOException {
        try {
            store.save(record);
        } catch (IOException e) {
            log.error(now.name() + " can't be remembered in its new state, and so is not changed", e);
            throw e;
        }
    }

    /** Publishes what {@code change} makes of the state, which is what is remembered already, or should not be. */
    void changeUnsaved(Change change) throws IOException {
        recording.lock();
        try {
            requireRemembered();
            now = change.of(now);
        } finally {
            recording.unlock();
        }
    }

    /**
     * Has the device forgotten: it does not come back after a restart, and its state can't change any more. When that fails
     * it is remembered as before.
     */
    void forget() throws IOException {
        recording.lock();
        try {
            requireRemembered();
            try {
                store.delete(minor);
            } catch (IOException e) {
                log.error(now.name() + " can't be forgotten, and so is not removed", e);
                throw e;
            }
            forgotten = true;
        } finally {
            recording.unlock();
        }
    }

    /** The tables of a device that is gone are closed. */
    void endTables() {
        recording.lock();
        try {
            now = now.withLive(null).withInactive(null);
        } finally {
            recording.unlock();
        }
    }

    private void requireRemembered() throws ErrnoException {
        if (forgotten) {
            throw new ErrnoException("device " + now.name(), Errno.ENXIO.number());
        }
    }
}
