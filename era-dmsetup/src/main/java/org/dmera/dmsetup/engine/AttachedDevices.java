// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.device.DeviceListener;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.Attacher;

/** Keeps attached nodes in step with their devices: size, name, and the end; and brings them back after a restart. */
final class AttachedDevices implements DeviceListener {
    private final Attacher attacher;
    private final EngineLog log;

    AttachedDevices(Attacher attacher, EngineLog log) {
        this.attacher = attacher;
        this.log = log;
    }

    /** Attaches those of {@code devices} that were attached before; who is suspended has to wait until it is resumed. */
    void bringBack(List<MappedDevice> devices) {
        for (MappedDevice device : devices) {
            // The node is read while it is made, which a suspended device would not answer.
            if (device.hasLive() && !device.isSuspended()) {
                appeared(device);
            }
        }
    }

    @Override
    public void appeared(MappedDevice device) {
        if (!device.isAttached()) {
            return;
        }
        try {
            attacher.attach(device);
        } catch (IOException e) {
            log.error(device + " does not get its node back: " + e.getMessage());
        }
    }

    @Override
    public void tableChanged(MappedDevice device) {
        try {
            attacher.resized(device);
        } catch (IOException e) {
            log.error("the new size of " + device + " for its node", e);
        }
    }

    @Override
    public void renamed(MappedDevice device, String oldName) {
        try {
            attacher.renamed(device);
        } catch (IOException e) {
            log.error("the new name of " + device + " for its node", e);
        }
    }

    @Override
    public boolean removing(MappedDevice device) throws IOException {
        return attacher.detach(device);
    }
}
