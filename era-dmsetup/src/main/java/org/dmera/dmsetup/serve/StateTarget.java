// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.serve;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.StoringNothing;
import org.dmera.tools.backup.image.StreamImage;

/** One state of a chain of streams, to be read. */
final class StateTarget extends StoringNothing {
    private final StreamImage image;
    private final int state;

    StateTarget(StreamImage image, int state) {
        this.image = image;
        this.state = state;
    }

    @Override
    public String type() {
        return "stream";
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        image.read(state, offsetBytes, dst);
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        return image.allocation(state, offsetBytes, lengthBytes);
    }

    @Override
    protected void change() throws IOException {
        throw new ErrnoException("a backup is served to be read", Errno.EPERM);
    }

    @Override
    public String table() {
        return image.name(state);
    }
}
