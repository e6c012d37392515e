// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.StringTokenizer;
import org.dmera.core.linux.DeviceNumber;

/** Where paths lead, and what kinds of file systems they are on: asked of the kernel, never read from their words. */
public final class Links {
    /** As many symbolic links as the kernel follows. */
    private static final int MAX_LINKS = 40;

    private static final Path DEV = Path.of("/dev");
    private static final Path MOUNTS = Path.of("/proc/self/mountinfo");

    private Links() {}

    /**
     * Where a path's last link leads, absolute; nothing need be there.
     *
     * @throws IOException when links lead in a circle, or one is a process's descriptor, which is not its file's name
     */
    public static Path follow(Path path) throws IOException {
        Path at = path.toAbsolutePath();
        for (int links = 0; links <= MAX_LINKS; links++) {
            if (!Files.isSymbolicLink(at)) {
                return at;
            }
            if (isOfProc(at)) {
                throw new IOException("not a file's name, but an open file of a process: " + path);
            }
            at = at.resolveSibling(Files.readSymbolicLink(at));
        }
        throw new IOException("Too many levels of symbolic links: " + path);
    }

    /** Whether a path leads to a process's open file, as {@code /dev/stdout} does: a new file in its place would not be seen. */
    public static boolean leadsToDescriptor(Path path) throws IOException {
        Path at = path.toAbsolutePath();
        for (int links = 0; links <= MAX_LINKS && Files.isSymbolicLink(at); links++) {
            if (isOfProc(at)) {
                return true;
            }
            at = at.resolveSibling(Files.readSymbolicLink(at));
        }
        return false;
    }

    /**
     * Refuses to make a regular file where device nodes are: in devtmpfs, or in whatever a container has in its place. It
     * would fill memory, be gone after a restart, and stand where a device's name was mistyped. What is mounted there, such
     * as {@code /dev/shm}, is another file system.
     */
    public static void requireFolderForFiles(Path newFile) throws IOException {
        Path folder = newFile.toAbsolutePath().getParent();
        if (Files.notExists(folder)) {
            throw new IOException("No such file or directory: " + folder + " (no such folder for " + newFile + ")");
        }
        long fileSystem = fileSystem(folder);
        boolean amongNodes = Files.exists(DEV)
                && fileSystem == fileSystem(DEV)
                && folder.toRealPath().startsWith(DEV);
        if (amongNodes || fileSystem != fileSystem(Path.of("/")) && isOfType("devtmpfs", fileSystem)) {
            throw new IOException("Couldn't find output file " + newFile
                    + ", and no regular file is made in a folder of device nodes");
        }
    }

    private static long fileSystem(Path path, LinkOption... how) throws IOException {
        return (long) Files.getAttribute(path, "unix:dev", how);
    }

    /** Whether a symbolic link, not what it leads to, is one of procfs. */
    private static boolean isOfProc(Path link) throws IOException {
        return isOfType("proc", fileSystem(link, LinkOption.NOFOLLOW_LINKS));
    }

    private static boolean isOfType(String type, long number) throws IOException {
        if (!Files.isReadable(MOUNTS)) {
            return false;
        }
        String wanted = DeviceNumber.major(number) + ":" + DeviceNumber.minor(number);
        StringTokenizer lines =
                new StringTokenizer(new String(Files.readAllBytes(MOUNTS), StandardCharsets.ISO_8859_1), "\n");
        while (lines.hasMoreTokens()) {
            // 24 27 0:6 / /dev rw,relatime shared:2 - devtmpfs devtmpfs rw (proc_pid_mountinfo(5))
            String line = lines.nextToken();
            StringTokenizer words = new StringTokenizer(line, " ");
            words.nextToken();
            words.nextToken();
            if (words.nextToken().equals(wanted) && line.contains(" - " + type + " ")) {
                return true;
            }
        }
        return false;
    }
}
