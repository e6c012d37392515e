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

    default void renamed(MappedDevice device, String oldName) {}

    /**
     * Somebody wants to remove the device, which may be refused yet: what takes time is done now, and nothing changes.
     *
     * @throws IOException the reason to refuse; EBUSY, of an ErrnoException, when this listener's users have it open
     */
    default void beforeRemoval(MappedDevice device) throws IOException {}

    /**
     * The device is to be removed, and nobody opens it any more: let go of it, or refuse. It is not to take long, and must not
     * open the device.
     *
     * @throws IOException as of {@link #beforeRemoval}; nothing has changed then
     */
    default void removing(MappedDevice device) throws IOException {}

    /** How many have it open by this listener's doing, who are not counted as opens of the device itself. */
    default int opens(MappedDevice device) {
        return 0;
    }

    /**
     * The device is to be suspended, and still serves: what is written by now is made whole, and no more is written.
     *
     * @throws IOException the reason why it can't be suspended; an ErrnoException says with which errno
     */
    default void suspending(MappedDevice device) throws IOException {}

    /** The device serves again, or was not suspended after all. Told also when {@link #suspending} was not. */
    default void resumed(MappedDevice device) {}

    /** The device is being removed; nobody has it open. Its I/O fails when this returns. */
    default void disappeared(MappedDevice device) {}
}
