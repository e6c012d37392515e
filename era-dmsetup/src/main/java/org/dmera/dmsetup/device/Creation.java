// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

/** The change by which a device that is in the index, and not found there yet, comes to be. */
record Creation(DeviceIndex index, MappedDevice device) implements Transition {
    @Override
    public DeviceState next(DeviceState now) {
        return now;
    }

    @Override
    public void undo(Throwable cause) {
        index.forget(device);
    }

    @Override
    public void publish() {
        index.publish(device);
    }
}
