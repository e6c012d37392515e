// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import org.dmera.core.linux.DeviceNode;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.dmsetup.targets.Failures;

/**
 * A node that is about to go: nobody can claim it, and nobody adds to what its page cache holds. As long as this process has
 * one open, others who write to it and close it leave that there, and the kernel's drivers lose it with the node.
 */
final class ShutNode {
    private ShutNode() {}

    /**
     * Does {@code end} with {@code node}, after {@code writeOut}, which comes when no more can be added.
     *
     * @throws org.dmera.core.linux.ErrnoException EBUSY when somebody has claimed it
     */
    static void during(NodeKeeper keeper, String node, Failures.Step writeOut, Failures.Step end) throws IOException {
        int fd = keeper.call(() -> FileDescriptors.open(node, FileDescriptors.O_RDONLY | FileDescriptors.O_EXCL));
        Failures failures = new Failures();
        failures.run(() -> {
            keeper.perform(() -> DeviceNode.setReadOnly(fd, node, true));
            writeOut.run();
            end.run();
        });
        // The node may be used again, by another program too.
        failures.run(() -> keeper.perform(() -> DeviceNode.setReadOnly(fd, node, false)));
        failures.run(() -> keeper.perform(() -> FileDescriptors.close(fd)));
        failures.throwFirst();
    }
}
