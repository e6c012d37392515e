// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.serve;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.Target;
import org.dmera.tools.backup.image.StreamImage;

/** One state of a chain of streams, to be read. */
final class StateTarget implements Target {
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

    private static IOException readOnly() {
        return new ErrnoException("a backup is served to be read", Errno.EPERM.number());
    }

    @Override
    public void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        throw readOnly();
    }

    @Override
    public void flush() {}

    @Override
    public void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
        throw readOnly();
    }

    @Override
    public void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        throw readOnly();
    }

    @Override
    public String table() {
        return image.name(state);
    }

    @Override
    public String status() {
        return "";
    }

    @Override
    public List<Backing> dependencies() {
        return List.of();
    }

    @Override
    public void close() {}
}
