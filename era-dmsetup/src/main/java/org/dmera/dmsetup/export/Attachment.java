// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.StorageAreas;

/** An export as a block device of the host. */
public interface Attachment {
    /**
     * Makes one by the kernel's NBD client where there is {@code /dev/nbd0}, else by a loop device over a FUSE file.
     *
     * @param io the export's
     * @param file over which the FUSE file is mounted
     * @param socket at which the export is served
     * @param export its name there
     * @param storage where its bytes lie in the end
     */
    static Attachment make(
            DeviceIo io,
            Path file,
            Path socket,
            String export,
            Served served,
            Supplier<StorageAreas> storage,
            Consumer<String> log)
            throws IOException {
        return KernelNbd.isAvailable()
                ? KernelNbd.connect(socket, export, io, log)
                : LoopDevice.over(io, file, served, storage, log);
    }

    /** Its path, as in {@code /dev/loop0}. */
    String node();

    /** The size of what it shows has changed. */
    void resized() throws IOException;

    /** Throws EBUSY when somebody has claimed it. */
    void requireUnclaimed() throws IOException;

    /** Writes out what the node's page cache holds, and a file system that is mounted on it. */
    void sync() throws IOException;

    /**
     * Takes it away. Throws EBUSY, with nothing changed, while the node is in use.
     *
     * @param writeOut writes out what its page cache holds, as late as that can be done; when it fails the node stays
     */
    void detach(Failures.Step writeOut) throws IOException;

    /** Lets go of it, in use or not. */
    void abandon() throws IOException;

    /** Takes it away, from those who still use it too, who have what they wrote by now written out. */
    default void takeAway(Failures.Step writeOut, Consumer<String> log) throws IOException {
        try {
            detach(writeOut);
        } catch (ErrnoException e) {
            log.accept("those who still use " + node() + " get I/O errors from now on: " + e.getMessage());
            writeOut.run();
            abandon();
        }
    }
}
