// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.DevNumber;

/**
 * A device's I/O brought to rest and let go again, step by step; which steps, and when, is the matter of whoever changes the
 * device. In the kernel's words: lock_fs, quiesce, postsuspend, preresume, unlock_fs.
 */
final class DeviceQuiescence {
    private final MappedDevice device;
    private final DeviceRegistry registry;
    private final DeviceIo io;
    /** The table that requests reach, or null. */
    private volatile LoadedTable reached;

    private boolean appeared;

    DeviceQuiescence(MappedDevice device, DeviceRegistry registry, DeviceIo io) {
        this.device = device;
        this.registry = registry;
        this.io = io;
    }

    /** Has users make whole what they have written, and write no more. */
    void freeze() throws IOException {
        registry.tellSuspending(device);
    }

    /** Users go on where the device does. */
    void thaw() {
        registry.tell(listener -> listener.resumed(device));
    }

    /** Holds new requests, and waits for those that are under way; held by nobody when this throws. */
    void hold() throws IOException {
        try {
            io.hold();
        } catch (InterruptedException e) {
            io.release();
            Thread.currentThread().interrupt();
            throw new ErrnoException("suspend of " + device.name() + " interrupted", Errno.EINTR);
        }
    }

    /** Lets requests go. */
    void release() {
        io.release();
    }

    /** The device goes: held requests fail, and all that come. */
    void shut() {
        io.shut();
    }

    /** For the end, or another table: if what was written is lost only the log can say so. */
    void syncOrLog(LoadedTable table) {
        try {
            LoadedTable.sync(table.targets());
        } catch (IOException e) {
            log().error(device + ": what was written could not be made durable", e);
        }
    }

    /** Tells those on top, and then its targets, that another table is in the place of {@code table}; while requests are held. */
    void replaced(LoadedTable table) {
        registry.index().above(device).forEach(MappedDevice::replacedBeneath);
        table.replaced();
    }

    /** Requests reach {@code table} from now on, null for none; while they are held. */
    void setTable(LoadedTable table) {
        io.setTable(table == null ? null : table.targets());
        if (table != null) {
            io.setReadOnly(table.readOnly());
        }
        reached = table;
    }

    LoadedTable reachedTable() {
        return reached;
    }

    /** Resumes the targets, all or none; before requests reach them. */
    void resumeTargets(LoadedTable table) throws IOException {
        io.tellOwed(table.targets());
        table.resumeTargets(why -> log().warn("table: " + DevNumber.text(device.dev()) + ": " + why));
    }

    /** Tells listeners that requests go through, to another table than before for one. */
    void tellRunning(boolean newTable) {
        if (!appeared) {
            appeared = true;
            registry.tell(listener -> listener.appeared(device));
        } else if (newTable) {
            registry.tell(listener -> listener.tableChanged(device));
        }
    }

    private EngineLog log() {
        return registry.log();
    }
}
