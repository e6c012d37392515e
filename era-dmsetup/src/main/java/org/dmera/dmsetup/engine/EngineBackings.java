// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.BackingSource;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.target.Backing;
import org.dmera.dmsetup.target.FileBackings;
import org.dmera.dmsetup.target.TargetFactory;

/**
 * Opens what tables name: a mapped device of this engine ({@code engine:NAME}, {@code /dev/mapper/NAME} if the engine has
 * a device of that name, or its {@code major:minor}), else a file or a block device.
 */
final class EngineBackings implements BackingSource {
    private static final String ENGINE_PREFIX = "engine:";
    private static final String MAPPER_PREFIX = "/dev/mapper/";

    private final FileBackings files = new FileBackings();
    private volatile DeviceRegistry registry;

    /** Tells of the registry, which itself is made with this object. */
    void setRegistry(DeviceRegistry devices) {
        registry = devices;
    }

    @Override
    public TargetFactory.BackingOpener openerFor(MappedDevice device, boolean readOnly) {
        return new TargetFactory.BackingOpener() {
            @Override
            public Backing open(String name) throws IOException {
                return EngineBackings.this.open(device, name, !readOnly);
            }

            @Override
            public Backing openMetadata(String name) throws IOException {
                return EngineBackings.this.open(device, name, true);
            }

            @Override
            public Object owner() {
                return device;
            }
        };
    }

    private Backing open(MappedDevice device, String name, boolean writable) throws IOException {
        MappedDevice below = find(name);
        if (below == null) {
            return files.open(name, writable);
        }
        if (below == device || sitsOn(below, device)) {
            throw new ErrnoException(device + " on top of itself", Errno.EINVAL.number());
        }
        return new MappedDeviceBacking(below);
    }

    private MappedDevice find(String name) throws ErrnoException {
        if (name.startsWith(ENGINE_PREFIX)) {
            MappedDevice device = registry.byName(name.substring(ENGINE_PREFIX.length()));
            if (device == null) {
                throw new ErrnoException("open " + name, Errno.ENOENT.number());
            }
            return device;
        }
        if (name.startsWith(MAPPER_PREFIX)) {
            return registry.byName(name.substring(MAPPER_PREFIX.length()));
        }
        if (name.startsWith(registry.major() + ":")) {
            String minor = name.substring(name.indexOf(':') + 1);
            return minor.matches("[0-9]{1,7}")
                    ? registry.byDev(DevNumber.encode(registry.major(), Integer.parseInt(minor)))
                    : null;
        }
        return null;
    }

    private boolean sitsOn(MappedDevice upper, MappedDevice lower) throws IOException {
        for (boolean ofInactive : new boolean[] {false, true}) {
            List<Backing> below = upper.dependencies(ofInactive);
            for (Backing backing : below) {
                if (backing instanceof MappedDeviceBacking mapped
                        && (mapped.mappedDevice() == lower || sitsOn(mapped.mappedDevice(), lower))) {
                    return true;
                }
            }
        }
        return false;
    }
}
