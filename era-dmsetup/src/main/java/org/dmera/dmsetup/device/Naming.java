// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/** The change by which a device gets another name, or a uuid if it has none, which nobody else gets in the meantime. */
final class Naming implements Transition {
    private final DeviceRegistry registry;
    private final MappedDevice device;
    private final DeviceIndex.Wish wish;
    private String oldName;
    private boolean reserved;

    Naming(DeviceRegistry registry, MappedDevice device, DeviceIndex.Wish wish) {
        this.registry = registry;
        this.device = device;
        this.wish = wish;
    }

    @Override
    public void prepare() throws IOException {
        registry.index().reserve(wish);
        reserved = true;
    }

    @Override
    public DeviceState next(DeviceState now) throws IOException {
        oldName = now.name();
        return wish.name().isEmpty() ? now.identified(wish.uuid()) : now.renamed(wish.name());
    }

    @Override
    public void undo(Throwable cause) {
        if (reserved) {
            registry.index().release(wish);
        }
    }

    @Override
    public void publish() {
        registry.index().renamed(device);
        registry.index().release(wish);
    }

    @Override
    public void release() {
        if (!wish.name().isEmpty()) {
            registry.tell(listener -> listener.renamed(device, oldName));
            registry.log().info("renamed " + oldName + " to " + device);
        }
        if (device.hasLive()) {
            device.events().raise();
        }
    }
}
