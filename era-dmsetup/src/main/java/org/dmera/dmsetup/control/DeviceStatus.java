// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;

/** What a buffer reports of a device in the end, as the kernel's __dev_status and retrieve_status put it there. */
final class DeviceStatus {
    private static final int CLEARED_BEFORE_STATUS = DmFlags.SUSPEND
            | DmFlags.READONLY
            | DmFlags.ACTIVE_PRESENT
            | DmFlags.INACTIVE_PRESENT
            | DmFlags.INTERNAL_SUSPEND
            | DmFlags.DEFERRED_REMOVE;

    private DeviceStatus() {}

    /** Its name and uuid. */
    static void identity(MappedDevice device, DmIoctl io) {
        io.setName(device.name());
        if (!device.uuid().isEmpty()) {
            io.setUuid(device.uuid());
        }
    }

    /** Its name, uuid and state. */
    static void status(MappedDevice device, DmIoctl io) {
        identity(device, io);
        state(device, io);
    }

    /** Its flags, counts and numbers. */
    static void state(MappedDevice device, DmIoctl io) {
        boolean ofInactive = io.has(DmFlags.QUERY_INACTIVE_TABLE);
        int flags = io.flags() & ~CLEARED_BEFORE_STATUS;
        flags |= device.isSuspended() ? DmFlags.SUSPEND : 0;
        flags |= device.hasLive() ? DmFlags.ACTIVE_PRESENT : 0;
        flags |= device.hasInactive() ? DmFlags.INACTIVE_PRESENT : 0;
        flags |= device.isReadOnly(ofInactive) ? DmFlags.READONLY : 0;
        flags |= device.isDeferredRemove() ? DmFlags.DEFERRED_REMOVE : 0;
        io.setFlags(flags);
        io.setDev(device.dev());
        io.setOpenCount(device.openCount());
        io.setEventNr(device.events().number());
        io.setTargetCount(device.targetCount(ofInactive));
    }

    /** All of that, and the lines of a table: their status, or their words. */
    static void tableStatus(MappedDevice device, DmIoctl io) throws IOException {
        status(device, io);
        List<TargetSpec> lines = device.lines(io.has(DmFlags.QUERY_INACTIVE_TABLE), io.has(DmFlags.STATUS_TABLE));
        io.setTargetCount(lines == null ? 0 : lines.size());
        if (lines != null) {
            TargetSpec.encodeAnswer(io, lines);
        }
    }
}
