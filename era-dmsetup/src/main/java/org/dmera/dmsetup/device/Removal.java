// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Failures;

/**
 * The change by which a device goes: everybody lets go of it, the store forgets it, nobody can find it any more, its tables are
 * closed, and its minor is free. It is forgotten before its name is, so that another of its name or number can't meet it in
 * the store.
 */
final class Removal implements Transition {
    private final DeviceRegistry registry;
    private final MappedDevice device;
    private final boolean onlyDeferred;
    private boolean leaving;
    private boolean open;

    /** {@code onlyDeferred}: it was deferred, and is none when that is taken back meanwhile. */
    Removal(DeviceRegistry registry, MappedDevice device, boolean onlyDeferred) {
        this.registry = registry;
        this.device = device;
        this.onlyDeferred = onlyDeferred;
    }

    /** Whether it was refused because the device is open, and its last close will be told. */
    boolean isOpen() {
        return open;
    }

    @Override
    public void prepare() throws IOException {
        requireNotOpen(registry.index()::requireRemovable);
        for (DeviceListener listener : registry.listeners()) {
            listener.beforeRemoval(device);
        }
        requireNotOpen(registry.index()::beginRemoval);
        leaving = true;
        for (DeviceListener listener : registry.listeners()) {
            listener.removing(device);
        }
    }

    private void requireNotOpen(Failures.Use<MappedDevice> check) throws IOException {
        try {
            check.with(device);
        } catch (ErrnoException e) {
            open = e.is(Errno.EBUSY);
            throw e;
        }
    }

    @Override
    public DeviceState next(DeviceState now) throws ErrnoException {
        if (onlyDeferred && !now.deferredRemove()) {
            throw new ErrnoException("the removal of " + device + " was cancelled", Errno.EBUSY);
        }
        return null;
    }

    @Override
    public void undo(Throwable cause) {
        if (!leaving) {
            return;
        }
        registry.index().decideRemoval(device, false);
        if (device.hasLive() && !device.isSuspended()) {
            // Who has let go of it takes it again.
            registry.tell(listener -> listener.appeared(device));
        }
    }

    @Override
    public void publish() {
        registry.index().decideRemoval(device, true);
        registry.index().freeName(device);
    }

    @Override
    public void release() throws IOException {
        try {
            device.life().destroy();
        } finally {
            registry.index().forget(device);
            registry.log().info("removed " + device);
        }
    }
}
