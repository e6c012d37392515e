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
    public final void write(long offsetBytes, ByteBuffer src, int flags) throws IOException {
        change();
        src.position(src.limit());
    }

    @Override
    public final void discard(long offsetBytes, long lengthBytes, int flags) throws IOException {
        change();
    }

    @Override
    public final void writeZeroes(long offsetBytes, long lengthBytes, int flags) throws IOException {
        change();
    }

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
