// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.util.Collection;
import org.dmera.dmsetup.device.MappedDevice;

/** Makes block devices of mapped devices, where the host can. */
public interface Attacher extends Closeable {
    /**
     * Attaches the device, which can't be removed meanwhile.
     *
     * @return the node, as in {@code /dev/nbd0}; the same one when it is attached already
     * @throws IOException when this host can't, or not any more; ENXIO when the device is being removed
     */
    String attach(MappedDevice device) throws IOException;

    /**
     * Of the nodes that a killed engine has left, those of other devices than these are taken away, in use or not. Theirs stay,
     * and whoever uses them waits, until they are attached.
     */
    void wantOnly(Collection<MappedDevice> devices);

    /**
     * Writes out what the node's page cache holds, and takes the node away; nothing for a device without one.
     *
     * @return whether it had one
     * @throws org.dmera.core.linux.ErrnoException EBUSY while the node is in use, or the device is suspended: then nothing
     *     has changed
     */
    boolean detach(MappedDevice device) throws IOException;

    /**
     * The first part of {@link #detach}, after which the node is still there: nothing is lost if the rest of a removal follows.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY while somebody has claimed the node, as a mount does, or the device is
     *     suspended
     */
    void writeOut(MappedDevice device) throws IOException;

    /**
     * The second part: takes the node away at once. What was written to it since {@link #writeOut} goes to the device too.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY while the node is in use: then nothing has changed
     */
    void takeAway(MappedDevice device) throws IOException;

    /**
     * As {@link #writeOut}, before the table is replaced by force: on a table of errors what the node's page cache holds would
     * be lost. That of a suspended device can't be written out, and is.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY while somebody has claimed the node: then nothing has changed
     */
    void makeWay(MappedDevice device) throws IOException;

    /** How often the node is open, as far as that can be told: 1 when something has claimed it, as a mount does, else 0. */
    int opens(MappedDevice device);

    /**
     * Before the device is suspended: freezes the file systems on its node, or writes out what the node's page cache holds.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY when one is frozen already, or why one can't be: then none is
     */
    void freeze(MappedDevice device) throws IOException;

    /** After it was resumed: thaws what {@link #freeze} has frozen. */
    void thaw(MappedDevice device);

    /** The device's size may have changed. */
    void resized(MappedDevice device) throws IOException;

    /** The device has a new name, and so must its link. */
    void renamed(MappedDevice device) throws IOException;

    /** The device is gone for good. */
    void forget(MappedDevice device);
}
