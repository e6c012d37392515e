// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.ExportSource;

/** Exports every device of a registry that has a live table. */
final class RegistryExports implements ExportSource {
    private final DeviceRegistry registry;

    RegistryExports(DeviceRegistry registry) {
        this.registry = registry;
    }

    @Override
    public List<String> names() {
        List<String> names = new ArrayList<>();
        for (MappedDevice device : registry.devices()) {
            if (device.hasLive()) {
                names.add(device.name());
            }
        }
        return names;
    }

    @Override
    public OpenDevice open(String name) throws IOException {
        MappedDevice device = registry.byName(name);
        if (device == null || !device.hasLive()) {
            throw new ErrnoException("export " + name, Errno.ENXIO.number());
        }
        device.open();
        return new OpenDevice() {
            @Override
            public DeviceIo io() {
                return device.io();
            }

            @Override
            public void close() {
                device.close();
            }
        };
    }
}
