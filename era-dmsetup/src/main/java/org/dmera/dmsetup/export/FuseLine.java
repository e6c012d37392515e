// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.core.linux.InputPoll;
import org.dmera.dmsetup.targets.Client;

/**
 * The way to the users of a FUSE file. It is cut when the file is unmounted and nobody has it open any more, or when somebody
 * aborts the connection, as one does whose device hangs: requests that are under way then have failed for whoever sent them.
 */
final class FuseLine implements Client.Line {
    /** A descriptor of its own: those of readers are closed, and their numbers another's, while others go on. */
    private int fd = -1;

    private InputPoll poll;
    private boolean closed;

    /** Takes over {@code descriptor}, of the same connection. */
    synchronized void watch(int descriptor) {
        fd = descriptor;
        poll = new InputPoll(descriptor);
    }

    /** Nobody serves the file any more. */
    synchronized void close() throws ErrnoException {
        closed = true;
        if (fd >= 0) {
            FileDescriptors.close(fd);
            fd = -1;
        }
    }

    @Override
    public synchronized boolean isCut() {
        return closed || poll != null && poll.hasFailed();
    }
}
