// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;

/** A way to device-mapper: the kernel's, or our engine's. */
public interface Control extends Closeable {
    /**
     * Makes a call.
     *
     * @param command its number ({@link org.dmera.dmsetup.ioctl.DmCommand#number})
     * @param buffer the whole buffer, from position 0 to its limit; afterwards as the other side left it
     * @return 0, or −errno
     * @throws IOException when the channel itself failed, so that there is no answer
     */
    int call(int command, ByteBuffer buffer) throws IOException;

    /** What it leads to, for {@code -v}: as in {@code engine at /run/era/control}. */
    String describe();

    /** Whether it leads to the kernel: then there are device nodes and perhaps udev. */
    default boolean isKernel() {
        return false;
    }

    @Override
    default void close() throws IOException {}
}
