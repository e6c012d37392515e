// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.copy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;

/** Keeps two runs from working on the same thing. */
public final class ExclusiveLock {
    private ExclusiveLock() {}

    /**
     * Locks a file until {@code channel}, which is open for writing, is closed, or the process ends.
     *
     * @return false when another process, or another part of this one, has it locked
     */
    public static boolean take(FileChannel channel) throws IOException {
        try {
            return channel.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false;
        }
    }
}
