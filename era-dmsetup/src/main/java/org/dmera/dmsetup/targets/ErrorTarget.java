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

    /** Makes error targets. */
    public static final class Factory implements TargetFactory {
        @Override
        public String type() {
            return "error";
        }

        @Override
        public int[] version() {
            return new int[] {1, 5, 0};
        }

        @Override
        public Target load(long startSector, long lengthSectors, List<String> arguments, BackingOpener backings) {
            return new ErrorTarget();
        }
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
        throw new ErrnoException("I/O on an error target", Errno.EIO.number());
    }
}
