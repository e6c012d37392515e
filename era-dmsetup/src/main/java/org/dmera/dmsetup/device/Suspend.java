// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/**
 * The change by which a running device is suspended: users are frozen, I/O is held, what was written is synced; and once the
 * new state is saved, the targets are told. When something was lost that can't be made durable, the device goes on.
 */
final class Suspend implements Transition {
    private final DeviceQuiescence io;
    private final LoadedTable live;
    private final boolean freeze;
    private boolean held;

    /** {@code live}: the live table, or null. */
    Suspend(DeviceQuiescence io, LoadedTable live, boolean freeze) {
        this.io = io;
        this.live = live;
        this.freeze = freeze;
    }

    @Override
    public void prepare() throws IOException {
        if (freeze) {
            io.freeze();
        }
        io.hold();
        held = true;
        if (live != null) {
            LoadedTable.sync(live.targets());
        }
    }

    @Override
    public DeviceState next(DeviceState now) {
        return now.suspended();
    }

    @Override
    public void undo(Throwable cause) {
        if (held) {
            io.release();
        }
    }

    @Override
    public void release() throws IOException {
        if (live != null) {
            live.suspendTargets();
        }
    }
}
