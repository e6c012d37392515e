// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.StorageAreas;

/**
 * A block device of the host over an export that no mapped device is behind; by the kernel's NBD client where there is
 * {@code /dev/nbd0}, else by a loop device over a FUSE file.
 */
public final class ServedNode implements Closeable {
    private final Attachment attachment;
    private final Consumer<String> log;

    private ServedNode(Attachment attachment, Consumer<String> log) {
        this.attachment = attachment;
        this.log = log;
    }

    /**
     * Makes the node.
     *
     * @param io the export's
     * @param folder where the FUSE file is mounted
     * @param socket at which the export is served
     * @param export its name there
     */
    public static ServedNode make(DeviceIo io, Path folder, Path socket, String export, Consumer<String> log)
            throws IOException {
        return new ServedNode(
                KernelNbd.isAvailable()
                        ? KernelNbd.connect(socket, export, io, log)
                        : FuseLoop.over(io, folder.resolve("image"), new Served(), StorageAreas::new, log),
                log);
    }

    /** The node's path. */
    public String path() {
        return attachment.node();
    }

    /** Takes the node away; from those who still use it too. */
    @Override
    public void close() throws IOException {
        try {
            attachment.detach();
        } catch (ErrnoException e) {
            log.accept("those who still use " + path() + " get I/O errors from now on: " + e.getMessage());
            attachment.abandon();
        }
    }
}
