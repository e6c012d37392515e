// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.List;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * What is remembered of a device.
 *
 * @param minor its minor number
 * @param id what tells it from every other device, earlier ones of the same number and name included
 * @param name its name
 * @param uuid its uuid, empty for none
 * @param suspended whether a user suspended it
 * @param live the live table, or null
 * @param inactive the inactive table, or null
 * @param attached whether it is to have a node in /dev
 * @param deferredRemove whether its last close removes it
 */
public record DeviceRecord(
        int minor,
        String id,
        String name,
        String uuid,
        boolean suspended,
        Table live,
        Table inactive,
        boolean attached,
        boolean deferredRemove) {

    /**
     * A table in the words in which it was loaded, and what these named then.
     *
     * @param found what the words for files and devices led to, each once
     */
    public record Table(boolean readOnly, List<TargetSpec> lines, List<Found> found) {}

    /**
     * What a word of a table led to when the table was loaded. The kernel looks a name up once; after a restart the table is
     * on the same files and devices, or on none.
     *
     * @param word as in the table
     * @param identity as {@link org.dmera.dmsetup.targets.Backing#remembered} gives it; without white space
     */
    public record Found(String word, String identity) {
        /** Begins the identity of a mapped device, which ends with its id. */
        public static final String MAPPED = "mapped:";

        /** Whether it led to the mapped device of that id. */
        boolean isMapped(String id) {
            return identity.startsWith(MAPPED) && identity.endsWith(":" + id);
        }
    }
}
