// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;

/**
 * How a caller names a device: by name, by uuid, or by number; with a number the name may be known besides, for messages.
 *
 * @param name empty when not given
 * @param uuid empty when not given
 * @param major −1 when not given; a device that is made gets device-mapper's own in any case
 * @param minor −1 when not given
 */
public record DeviceId(String name, String uuid, int major, int minor) {
    /** No device: for calls that take none. */
    public static final DeviceId NONE = new DeviceId("", "", -1, -1);

    public static DeviceId ofName(String name) {
        return new DeviceId(name, "", -1, -1);
    }

    public static DeviceId ofUuid(String uuid) {
        return new DeviceId("", uuid, -1, -1);
    }

    public static DeviceId ofNumber(int major, int minor) {
        return new DeviceId("", "", major, minor);
    }

    /** By number, with the name for messages. */
    public static DeviceId ofNumber(String name, long dev) {
        return new DeviceId(name, "", DevNumber.major(dev), DevNumber.minor(dev));
    }

    static DeviceId of(DmIoctl request) {
        boolean byNumber = request.name().isEmpty() && request.uuid().isEmpty();
        return byNumber ? ofNumber("", request.dev()) : new DeviceId(request.name(), request.uuid(), -1, -1);
    }

    public boolean hasNumber() {
        return minor >= 0;
    }

    /** Puts it into a request. A number goes without the name: the kernel takes one of the two only. */
    void encode(DmIoctl io) {
        if (hasNumber()) {
            io.setDev(DevNumber.encode(Math.max(major, 0), minor));
            io.setFlags(io.flags() | DmFlags.PERSISTENT_DEV);
        } else {
            io.setName(name);
        }
        io.setUuid(uuid);
    }

    /** Name, uuid and number, as libdevmapper's messages give them. */
    public String describe() {
        return name + " " + uuid + (hasNumber() ? "(" + major + ":" + minor + ")" : "");
    }
}
