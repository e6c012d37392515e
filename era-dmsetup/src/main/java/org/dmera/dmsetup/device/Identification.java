// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/** The change by which a device without a uuid gets one, which nobody else gets in the meantime. */
final class Identification implements Transition {
    private final DeviceIndex index;
    private final MappedDevice device;
    private final String uuid;
    private boolean reserved;

    Identification(DeviceIndex index, MappedDevice device, String uuid) {
        this.index = index;
        this.device = device;
        this.uuid = uuid;
    }

    @Override
    public void prepare() throws IOException {
        index.reserveUuid(uuid);
        reserved = true;
    }

    @Override
    public DeviceState next(DeviceState now) throws IOException {
        return now.identified(uuid);
    }

    @Override
    public void undo(Throwable cause) {
        if (reserved) {
            index.releaseUuid(uuid);
        }
    }

    @Override
    public void publish() {
        index.releaseUuid(uuid);
    }

    @Override
    public void release() {
        if (device.hasLive()) {
            device.events().raise();
        }
    }
}
