// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.core.file.Folders;

/** Which process has a file open, from /proc (proc_pid_fd(5)), as far as this user may see. */
final class OpenFiles {
    /** What the kernel adds to the path of a file whose name was taken away. */
    private static final String DELETED = " (deleted)";

    private OpenFiles() {}

    /** A process that has a file open which had the path {@code file} once, and no longer; −1 for none. */
    static long holderOfDeleted(Path file) {
        String wanted = file + DELETED;
        for (Path process : entries(Path.of("/proc"), "[0-9]*")) {
            if (entries(process.resolve("fd"), "*").stream().anyMatch(descriptor -> leadsTo(descriptor, wanted))) {
                return Long.parseLong(process.getFileName().toString());
            }
        }
        return -1;
    }

    private static List<Path> entries(Path folder, String glob) {
        try {
            return Folders.entries(folder, glob);
        } catch (IOException e) {
            // Another user's, or it has ended; and without /proc nothing is known.
            return List.of();
        }
    }

    private static boolean leadsTo(Path descriptor, String wanted) {
        try {
            return Files.readSymbolicLink(descriptor).toString().equals(wanted);
        } catch (IOException e) {
            // Closed meanwhile.
            return false;
        }
    }
}
