// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * A device's state as the answer of DEV_STATUS has it, in the words that are printed.
 *
 * @param rawName the name as device-mapper has it; {@code name} is for people
 * @param rawUuid the same of the uuid
 */
record DeviceState(
        String rawName,
        String rawUuid,
        String name,
        String uuid,
        int major,
        int minor,
        int openCount,
        int eventNr,
        int targetCount,
        boolean live,
        boolean inactive,
        boolean suspended,
        boolean readOnly,
        boolean deferredRemove) {

    static DeviceState of(Session session, DmIoctl io) {
        return new DeviceState(
                io.name(),
                io.uuid(),
                session.unmangle(io.name()),
                session.unmangle(io.uuid()),
                DevNumber.major(io.dev()),
                DevNumber.minor(io.dev()),
                io.openCount(),
                io.eventNr(),
                io.targetCount(),
                io.has(DmFlags.ACTIVE_PRESENT),
                io.has(DmFlags.INACTIVE_PRESENT),
                io.has(DmFlags.SUSPEND),
                io.has(DmFlags.READONLY),
                io.has(DmFlags.DEFERRED_REMOVE));
    }

    long dev() {
        return DevNumber.encode(major, minor);
    }

    /** Live and inactive slot, suspended, read-only or writable: four letters. */
    String attributes() {
        return (live ? "L" : "-") + (inactive ? "I" : "-") + (suspended ? "s" : "-") + (readOnly ? "r" : "w");
    }

    /** Which slots are filled, in a word. */
    String tables() {
        return live ? inactive ? "Both" : "Live" : inactive ? "Inactive" : "None";
    }

    void json(Json json) {
        json.beginObject()
                .field("name", name)
                .field("uuid", uuid.isEmpty() ? null : uuid)
                .field("major", major)
                .field("minor", minor)
                .field("suspended", suspended)
                .field("read_only", readOnly)
                .field("live_table", live)
                .field("inactive_table", inactive)
                .field("deferred_remove", deferredRemove)
                .field("open_count", openCount)
                .field("event_number", Integer.toUnsignedLong(eventNr))
                .field("targets", targetCount)
                .endObject();
    }
}
