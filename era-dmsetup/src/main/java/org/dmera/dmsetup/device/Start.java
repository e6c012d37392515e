// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.dmsetup.targets.Failures;

/**
 * The change by which a device goes on: as it is, or with another table in the place of the live one. One that runs is brought
 * to rest for that.
 *
 * <p>Until the new state is saved nothing is done but to hold I/O and to sync what was written; so when it can't be saved,
 * letting I/O go is all that it takes to be as before. When a target can't be resumed the device stays suspended, with the
 * new table live.
 */
final class Start implements Transition {
    private final RememberedState state;
    private final DeviceQuiescence io;
    private final Transition next;
    private final boolean freeze;
    private final LoadedTable old;
    private final boolean wasAtRest;
    private boolean held;

    /** {@code next} is what the state becomes; with {@code freeze}, users are frozen before a running device is held. */
    Start(RememberedState state, DeviceQuiescence io, Transition next, boolean freeze) {
        this.state = state;
        this.io = io;
        this.next = next;
        this.freeze = freeze;
        this.old = state.now().table(false);
        this.wasAtRest = state.now().isAtRest();
    }

    @Override
    public void prepare() throws IOException {
        if (wasAtRest) {
            return;
        }
        if (freeze) {
            io.freeze();
        }
        io.hold();
        held = true;
        if (old != null) {
            io.syncOrLog(old);
        }
    }

    @Override
    public DeviceState next(DeviceState now) throws IOException {
        return next.next(now);
    }

    @Override
    public boolean mustBeSaved() {
        return next.mustBeSaved();
    }

    @Override
    public void undo(Throwable cause) {
        if (held) {
            io.release();
        }
    }

    @Override
    public void release() throws IOException {
        LoadedTable live = state.now().table(false);
        try {
            leaveFor(live);
            io.resumeTargets(live);
        } catch (IOException | RuntimeException | Error e) {
            staySuspended(e);
            throw e;
        } finally {
            if (live != old) {
                // Not before: until it is resumed, what the new one has to tell is older than what the old one has
                // told.
                io.setTable(live);
            }
        }
        io.release();
        state.noteOfAny(DeviceState::running);
        io.tellRunning(live != old);
    }

    /** The old targets are at rest, each whatever becomes of the others. */
    private void leaveFor(LoadedTable live) throws IOException {
        if (live == old || old == null) {
            return;
        }
        try {
            if (!wasAtRest) {
                old.suspendTargets();
            }
        } finally {
            io.replaced(old);
        }
    }

    /**
     * The device is suspended because of {@code cause}, which the caller hears of. Should that not be saved, a restart tries
     * again to let it run.
     */
    private void staySuspended(Throwable cause) {
        try {
            state.apply(DeviceState::suspended);
        } catch (IOException | RuntimeException e) {
            cause.addSuppressed(e);
            // Unless the device is gone.
            Failures.after(cause, () -> state.note(DeviceState::suspended));
        }
    }
}
