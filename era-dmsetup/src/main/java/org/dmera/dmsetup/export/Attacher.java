// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import org.dmera.dmsetup.device.MappedDevice;

/** Makes block devices of mapped devices, where the host can. */
public interface Attacher extends Closeable {
    /**
     * Attaches the device.
     *
     * @return the node, as in {@code /dev/nbd0}; the same one when it is attached already
     * @throws IOException when this host can't, or not any more
     */
    String attach(MappedDevice device) throws IOException;

    /**
     * Takes the node away again; nothing for a device without one.
     *
     * @return whether it had one
     * @throws org.dmera.core.linux.ErrnoException EBUSY while the node is in use
     */
    boolean detach(MappedDevice device) throws IOException;

    /**
     * Makes way for a removal by force before anything else is done to the device: on a table of errors what the node's page
     * cache holds would be lost. The node of a suspended device stays, as it can't be written out.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY while the node is in use: then nothing has changed
     */
    void makeWay(MappedDevice device) throws IOException;

    /** The device's size may have changed. */
    void resized(MappedDevice device) throws IOException;

    /** The device has a new name, and so must its link. */
    void renamed(MappedDevice device) throws IOException;
}
