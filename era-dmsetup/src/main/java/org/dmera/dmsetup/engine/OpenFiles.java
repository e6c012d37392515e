// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Which process has a file open, from /proc (proc_pid_fd(5)), as far as this user may see. */
final class OpenFiles {
    /** What the kernel adds to the path of a file whose name was taken away. */
    private static final String DELETED = " (deleted)";

    private OpenFiles() {}

    /** A process that has a file open which had the path {@code file} once, and no longer; −1 for none. */
    static long holderOfDeleted(Path file) {
        String wanted = file + DELETED;
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                if (hasOpen(process.resolve("fd"), wanted)) {
                    return Long.parseLong(process.getFileName().toString());
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // Without /proc nothing is known.
            return -1;
        }
        return -1;
    }

    private static boolean hasOpen(Path descriptors, String wanted) {
        try (DirectoryStream<Path> open = Files.newDirectoryStream(descriptors)) {
            for (Path descriptor : open) {
                if (leadsTo(descriptor, wanted)) {
                    return true;
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // Another user's, or it has ended.
            return false;
        }
        return false;
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
