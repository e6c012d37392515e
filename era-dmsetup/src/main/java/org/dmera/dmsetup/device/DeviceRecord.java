// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.List;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * What is remembered of a device.
 *
 * @param minor its minor number
 * @param name its name
 * @param uuid its uuid, empty for none
 * @param suspended whether a user suspended it
 * @param live the live table, or null
 * @param inactive the inactive table, or null
 * @param attached whether it is to have a node in /dev
 */
public record DeviceRecord(
        int minor, String name, String uuid, boolean suspended, Table live, Table inactive, boolean attached) {
    /** A table in the words in which it was loaded. */
    public record Table(boolean readOnly, List<TargetSpec> lines) {}
}
