// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;

/** A target by which what is written is refused, or forgotten; with nothing beneath it, unless it says otherwise. */
public abstract class StoringNothing implements Target {
    /** @throws IOException with which any change is refused */
    protected abstract void change() throws IOException;

    @Override
    public final void submit(Operation operation, long offsetBytes, long lengthBytes, ByteBuffer data, int flags)
            throws IOException {
        switch (operation) {
            case READ -> read(offsetBytes, data);
            case FLUSH -> flush();
            default -> {
                change();
                if (data != null) {
                    data.position(data.limit());
                }
            }
        }
    }

    @Override
    public abstract void read(long offsetBytes, ByteBuffer dst) throws IOException;

    @Override
    public void flush() throws IOException {}

    @Override
    public String table() {
        return "";
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
    public void close() throws IOException {}
}
