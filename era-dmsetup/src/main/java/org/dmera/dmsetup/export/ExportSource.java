// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.StorageAreas;

/** The devices that clients may open: the engine's mapped devices. */
public interface ExportSource {
    /** The names of all devices, for a client that lists them. */
    List<String> names();

    /**
     * Opens a device by name, for as long as a client uses it: it counts as an open, and keeps the device from being
     * removed.
     *
     * @throws IOException when there is no such device (ENXIO)
     */
    OpenDevice open(String name) throws IOException;

    interface OpenDevice extends Closeable {
        /** Its I/O. */
        DeviceIo io();

        /** Where its bytes lie in the end: two devices that share something meet there. */
        default StorageAreas storage() {
            StorageAreas itself = new StorageAreas();
            itself.add(io(), 0, Long.MAX_VALUE);
            return itself;
        }

        @Override
        void close();
    }
}
