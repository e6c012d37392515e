// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/**
 * Told of devices that come and go. Called on the thread of the call that makes the change, which waits for it; a
 * listener must not call back into the registry for the same device, other than to open or close it.
 */
public interface DeviceListener {
    /** The device has a live table for the first time, so there is something to read. */
    default void appeared(MappedDevice device) {}

    /** A new table is live: the size may have changed. */
    default void tableChanged(MappedDevice device) {}

    /** The device was renamed. */
    default void renamed(MappedDevice device, String oldName) {}

    /**
     * The device is to be removed: let go of it, or refuse.
     *
     * @return whether this listener had it open until now, or something that it started
     * @throws IOException the reason to refuse; an ErrnoException says with which errno
     */
    default boolean removing(MappedDevice device) throws IOException {
        return false;
    }

    /** The device is being removed; nobody has it open. Its I/O fails when this returns. */
    default void disappeared(MappedDevice device) {}
}
