// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.Words;

/**
 * {@code frozen DEVICE ERA FOLDER}: what an era device held at the moment at which ERA began, read only; and when each block
 * of it had been written last. Made by {@code freeze} alone, not from a table line.
 */
public final class FrozenTarget extends StoringNothing implements ChangeTracking {
    /** Its name in tables. */
    public static final String TYPE = "frozen";

    private final FrozenView view;
    private final Backing device;

    /** Takes over both; {@code device} is the one that the view is of. */
    public FrozenTarget(FrozenView view, Backing device) {
        this.view = view;
        this.device = device;
    }

    public FrozenView view() {
        return view;
    }

    @Override
    public String type() {
        return TYPE;
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        view.read(offsetBytes, dst);
    }

    @Override
    protected void change() throws IOException {
        throw new ErrnoException("write to a view", Errno.EPERM);
    }

    /** There is nothing to make durable; but what was read so far was right if this succeeds. */
    @Override
    public void flush() throws IOException {
        view.verify();
    }

    /** What lies beneath is its device's, which goes on. */
    @Override
    public void sync() {}

    /** What was copied and could not be stored is told by {@link #flush}; what its device loses is written later. */
    @Override
    public IOException loss() {
        return null;
    }

    @Override
    public long allocation(long offsetBytes, long lengthBytes) throws IOException {
        return view.allocation(offsetBytes, lengthBytes);
    }

    /** The last era whose writes it holds. */
    @Override
    public int currentEra() {
        return view.newEra() - 1;
    }

    @Override
    public int newEra() {
        return view.newEra();
    }

    @Override
    public long blockSizeBytes() {
        return view.blockSizeBytes();
    }

    @Override
    public Object lineage() {
        return view.lineage();
    }

    @Override
    public boolean lastWritten(long offsetBytes, long lengthBytes, EraRuns visitor) throws IOException {
        return view.lastWritten(offsetBytes, lengthBytes, visitor);
    }

    @Override
    public String table() {
        return TableWords.of(device) + " " + Integer.toUnsignedString(view.newEra()) + " "
                + Words.escape(view.file().folder().toString());
    }

    @Override
    public String status() {
        return view.status();
    }

    /** Nothing that is written can get here, nor from here anywhere. */
    @Override
    public void storage(long offsetBytes, long lengthBytes, StorageAreas areas) {
        areas.add(view, offsetBytes, lengthBytes);
    }

    @Override
    public List<Backing> dependencies() {
        return List.of(device);
    }

    @Override
    public void close() throws IOException {
        try {
            view.close();
        } finally {
            device.close();
        }
    }
}
