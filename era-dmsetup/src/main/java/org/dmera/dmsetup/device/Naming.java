// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/** The change by which a device gets another name, which nobody else gets in the meantime. */
final class Naming implements Transition {
    private final DeviceRegistry registry;
    private final DeviceIndex index;
    private final MappedDevice device;
    private final String newName;
    private String oldName;
    private boolean reserved;

    Naming(DeviceRegistry registry, DeviceIndex index, MappedDevice device, String newName) {
        this.registry = registry;
        this.index = index;
        this.device = device;
        this.newName = newName;
    }

    @Override
    public void prepare() throws IOException {
        index.reserveName(newName);
        reserved = true;
    }

    @Override
    public DeviceState next(DeviceState now) {
        oldName = now.name();
        return now.renamed(newName);
    }

    @Override
    public void undo(Throwable cause) {
        if (reserved) {
            index.releaseName(newName);
        }
    }

    @Override
    public void publish() {
        index.renamed(device);
        index.releaseName(newName);
    }

    @Override
    public void release() {
        registry.tell(listener -> listener.renamed(device, oldName));
        registry.log().info("renamed " + oldName + " to " + device);
        if (device.hasLive()) {
            device.events().raise();
        }
    }
}
