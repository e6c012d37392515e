// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A thread's own table of open files: unshare(2) with CLONE_FILES.
 *
 * <p>A process closes its files when the last thread that shares its table is gone. So a thread that can't be killed while
 * it waits, as in fsync(2), must not share the table with what it waits for: the end of that would wait for it in turn.
 */
public final class OwnDescriptors {
    private static final int CLONE_FILES = 0x400;
    private static final int STANDARD = 3;
    /** What the kernel adds to the name of a file that has none any more. */
    private static final String DELETED = " (deleted)";

    private OwnDescriptors() {}

    /**
     * Gives the calling thread a table of its own with the standard streams in it, and the jars from which classes may
     * still have to be loaded. Such a thread must not use anything that other threads have opened since, nor leave anything
     * open for them.
     */
    public static void unshare() throws IOException {
        // The first time is for the classes that this needs: they are to be loaded before.
        listed();
        if (Libc.CALLS.unshare(CLONE_FILES) < 0) {
            throw new ErrnoException("unshare the table of open files", Libc.errno());
        }
        for (int fd : listed()) {
            // One of them is the list's own, which is closed by now.
            Libc.CALLS.close(fd);
        }
    }

    /** All that are open but those that stay. */
    private static List<Integer> listed() throws IOException {
        List<Integer> listed = new ArrayList<>();
        try (DirectoryStream<Path> open = Files.newDirectoryStream(Path.of("/proc/thread-self/fd"))) {
            for (Path each : open) {
                int fd = Integer.parseInt(each.getFileName().toString());
                if (fd >= STANDARD && !isCode(each)) {
                    listed.add(fd);
                }
            }
        }
        return listed;
    }

    private static boolean isCode(Path link) throws IOException {
        try {
            String file = Files.readSymbolicLink(link).toString();
            if (file.endsWith(DELETED)) {
                // As by an upgrade of the program since its start.
                file = file.substring(0, file.length() - DELETED.length());
            }
            return file.endsWith(".jar") || file.endsWith("/modules");
        } catch (NoSuchFileException e) {
            // Closed since it was listed.
            return false;
        }
    }
}
