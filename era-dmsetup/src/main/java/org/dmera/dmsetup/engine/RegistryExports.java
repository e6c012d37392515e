// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.List;
import java.util.UUID;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.targets.StorageAreas;

/** Exports every device of a registry that has a live table, or will have it as soon as it is back after a restart. */
final class RegistryExports implements ExportSource {
    private final DeviceRegistry registry;
    /** Begins the names of exports for nodes, which only this process can know; no device's name has a slash. */
    private final String forNodes = UUID.randomUUID() + "/";

    RegistryExports(DeviceRegistry registry) {
        this.registry = registry;
    }

    @Override
    public List<String> names() {
        return registry.devices().stream()
                .filter(device -> device.hasLive() || registry.isExpectedBack(device))
                .map(MappedDevice::name)
                .toList();
    }

    /** The export for the node of the device of that name. It does not count as an open: who uses the node does. */
    String forNode(String name) {
        return forNodes + name;
    }

    @Override
    public OpenDevice open(String export) throws IOException {
        boolean counts = !export.startsWith(forNodes);
        String name = counts ? export : export.substring(forNodes.length());
        MappedDevice device = find(registry, name);
        if (device != null) {
            registry.awaitBack(device);
        }
        if (device == null || !device.hasLive()) {
            throw new ErrnoException("export " + name, Errno.ENXIO);
        }
        if (counts) {
            device.open();
        }
        return new OpenDevice() {
            @Override
            public DeviceIo io() {
                return device.io();
            }

            @Override
            public StorageAreas storage() {
                return device.storage();
            }

            @Override
            public void close() {
                if (counts) {
                    device.close();
                }
            }
        };
    }

    /** The device of the number {@code MAJOR:MINOR}; null for none. */
    static MappedDevice ofNumber(DeviceRegistry registry, String number) {
        return number.matches(registry.major() + ":[0-9]{1,7}")
                ? registry.byDev(
                        DevNumber.encode(registry.major(), Integer.parseInt(number.substring(number.indexOf(':') + 1))))
                : null;
    }

    /** People have names unmangled, and give those to clients; who has the mangled name gets the device too. */
    static MappedDevice find(DeviceRegistry registry, String name) throws IOException {
        MappedDevice device = registry.byName(name);
        return device != null ? device : registry.byName(Mangling.mangle(Mangling.Kind.NAME, name, Mangling.Mode.AUTO));
    }
}
