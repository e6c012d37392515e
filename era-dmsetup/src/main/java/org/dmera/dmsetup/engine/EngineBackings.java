// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.BackingSource;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.HostAttacher;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.BlockDevices;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.FileBackings;
import org.dmera.dmsetup.targets.TargetFactory;

/**
 * Opens what tables name: a mapped device of this engine ({@code engine:NAME}, {@code /dev/mapper/NAME} if the engine has
 * a device of that name, a link to that, its {@code major:minor}, or its node), else a file or a block device.
 *
 * <p>No node of this engine is opened, nor what lies on one: should the process be killed, what its page cache holds would be
 * written out when the process's files are closed, which waits for requests that the same process serves.
 */
final class EngineBackings implements BackingSource {
    private static final String ENGINE_PREFIX = "engine:";
    private static final String MAPPER_PREFIX = "/dev/mapper/";
    /** Where nodes are where the kernel has a device-mapper of its own. */
    private static final String ERA_PREFIX = "/dev/era/";

    private static final String DEV_PREFIX = "/dev/";

    private static final int MAX_LINKS = 40;

    private final FileBackings files = new FileBackings();
    private volatile DeviceRegistry registry;
    /** Null as long as there are none. */
    private volatile HostAttacher nodes;

    /** Tells of the registry, which itself is made with this object. */
    void setRegistry(DeviceRegistry devices) {
        registry = devices;
    }

    /** Tells of the nodes, which come when devices are back. */
    void setNodes(HostAttacher attacher) {
        nodes = attacher;
    }

    @Override
    public TargetFactory.BackingOpener openerFor(
            MappedDevice device, boolean readOnly, List<DeviceRecord.Found> found) {
        Map<String, String> remembered = new HashMap<>();
        found.forEach(f -> remembered.put(f.word(), f.identity()));
        return new TargetFactory.BackingOpener() {
            @Override
            public Backing open(String name) throws IOException {
                return EngineBackings.this.open(device, name, !readOnly, remembered.get(name));
            }

            @Override
            public Backing openMetadata(String name) throws IOException {
                return EngineBackings.this.open(device, name, true, remembered.get(name));
            }

            @Override
            public Object owner() {
                return device;
            }
        };
    }

    /** {@code remembered} is what the name led to before a restart, or null. */
    private Backing open(MappedDevice device, String name, boolean writable, String remembered) throws IOException {
        if (remembered != null && !MappedDeviceBacking.isRemembered(remembered)) {
            return files.open(name, writable, remembered);
        }
        MappedDevice below = remembered == null ? find(name) : MappedDeviceBacking.find(remembered, registry);
        if (below == null && remembered == null) {
            return files.open(name, writable);
        }
        if (below == null) {
            throw new ErrnoException(
                    name + " was " + remembered + " when the table was loaded, which is no more", Errno.ENXIO);
        }
        MappedDeviceBacking backing = new MappedDeviceBacking(below, device);
        return Failures.takingBack(backing::close, () -> {
            if (nodes != null && remembered == null) {
                nodes.layBeneath(below, writable);
            }
            return backing;
        });
    }

    private MappedDevice find(String name) throws IOException {
        if (name.startsWith(ENGINE_PREFIX)) {
            MappedDevice device = RegistryExports.find(registry, name.substring(ENGINE_PREFIX.length()));
            if (device == null) {
                throw new ErrnoException("open " + name, Errno.ENOENT);
            }
            return device;
        }
        MappedDevice linked = findByLink(name);
        MappedDevice known = linked != null ? linked : RegistryExports.ofNumber(registry, name);
        return known != null ? known : findByNode(name);
    }

    private MappedDevice findByNode(String name) throws IOException {
        if (nodes == null) {
            return null;
        }
        String number = number(name);
        String own = BlockDevices.first(number, each -> nodes.ofNode(DEV_PREFIX + each) != null);
        String node = DEV_PREFIX + own;
        MappedDevice device = own == null ? null : nodes.ofNode(node);
        if (device != null && !number(node).equals(number)) {
            throw new ErrnoException(
                    name + " lies on " + node + ", the node of this engine's own device " + device.name(), Errno.EBUSY);
        }
        return device;
    }

    /** Of the block device that is named by its path or its number, {@code major:minor}. */
    private static String number(String name) throws IOException {
        Path path = NativeText.path(name);
        if (!Files.exists(path)) {
            return name;
        }
        return DevNumber.text((long) Files.getAttribute(path, "unix:rdev"));
    }

    /** The device that a path is a node of, or of which one is on the way that symbolic links lead. */
    private MappedDevice findByLink(String name) {
        try {
            Path path = NativeText.path(name);
            for (int hops = 0; hops < MAX_LINKS; hops++) {
                MappedDevice device = nodeOf(path);
                if (device != null || !Files.isSymbolicLink(path)) {
                    return device;
                }
                path = path.resolveSibling(Files.readSymbolicLink(path)).normalize();
            }
        } catch (IOException e) {
            // Whoever opens it next learns why.
            return null;
        }
        return null;
    }

    private MappedDevice nodeOf(Path path) throws IOException {
        String text = path.toString();
        if (text.startsWith(MAPPER_PREFIX)) {
            return RegistryExports.find(registry, text.substring(MAPPER_PREFIX.length()));
        }
        if (text.startsWith(ERA_PREFIX)) {
            MappedDevice device = registry.byName(text.substring(ERA_PREFIX.length()));
            return device != null && device.isAttached() ? device : null;
        }
        return null;
    }
}
