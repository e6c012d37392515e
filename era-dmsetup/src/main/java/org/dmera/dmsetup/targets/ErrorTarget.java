// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;

/** {@code error}: every read and write fails with EIO. Arguments are ignored, as the kernel does. */
public final class ErrorTarget extends StoringNothing {
    private ErrorTarget() {}

    /** As {@link TargetFactory#load}. */
    static Target load(long lengthSectors, List<String> arguments, TargetFactory.BackingOpener backings) {
        return new ErrorTarget();
    }

    @Override
    public String type() {
        return "error";
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) throws IOException {
        change();
    }

    @Override
    protected void change() throws IOException {
        throw new ErrnoException("I/O on an error target", Errno.EIO);
    }
}
