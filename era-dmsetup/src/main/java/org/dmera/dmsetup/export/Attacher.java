// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import org.dmera.dmsetup.device.MappedDevice;

/** What clients can have done with the nodes of mapped devices: block devices of the host, where that can make them. */
public interface Attacher {
    /**
     * Attaches the device, which can't be removed meanwhile.
     *
     * @return the node, as in {@code /dev/nbd0}; the same one when it is attached already
     * @throws IOException when this host can't, or not any more; ENXIO when the device is being removed
     */
    String attach(MappedDevice device) throws IOException;

    /**
     * Writes out what the node's page cache holds, and takes the node away; nothing for a device without one.
     *
     * @return whether it had one
     * @throws org.dmera.core.linux.ErrnoException EBUSY while the node is in use, or the device is suspended: then nothing
     *     has changed
     */
    boolean detach(MappedDevice device) throws IOException;

    /**
     * Writes out what the node's page cache holds, before the table is replaced by force: on a table of errors it would
     * be lost. That of a suspended device can't be written out, and is.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY while somebody has claimed the node: then nothing has changed
     */
    void makeWay(MappedDevice device) throws IOException;
}
