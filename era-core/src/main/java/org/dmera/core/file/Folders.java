// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;

/** Folders: what is in them; and those for what is to outlast a power cut, as a file is no more durable than each on its way. */
public final class Folders {
    /** Of a folder that is for its owner alone. */
    public static final FileAttribute<Set<PosixFilePermission>> PRIVATE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    private Folders() {}

    /**
     * What is in {@code folder} under a name that fits {@code glob} ({@link Files#newDirectoryStream(Path, String)}).
     *
     * @throws IOException that names the folder, also when it fails in the middle
     */
    public static List<Path> entries(Path folder, String glob) throws IOException {
        List<Path> entries = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, glob)) {
            found.forEach(entries::add);
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        return entries;
    }

    /**
     * Makes {@code folder} and those above it, as far as they are missing, and makes their names durable.
     *
     * @param attributes of each that is made
     */
    public static void make(Path folder, FileAttribute<?>... attributes) throws IOException {
        Deque<Path> missing = new ArrayDeque<>();
        for (Path each = folder.toAbsolutePath(); each != null && Files.notExists(each); each = each.getParent()) {
            missing.push(each);
        }
        try {
            Files.createDirectories(folder, attributes);
        } catch (FileAlreadyExistsException e) {
            throw (IOException) new NotDirectoryException(e.getFile()).initCause(e);
        }
        for (Path made : missing) {
            syncFolderOf(made);
        }
    }

    /**
     * Makes durable what a file is called, and that it is there, as far as the file system can: some sync no folders (fsync(2):
     * EINVAL), and what is in them is as durable as they make it.
     */
    public static void syncFolderOf(Path file) throws IOException {
        Path path = file.toAbsolutePath().getParent();
        try (FileChannel folder = FileChannel.open(path, StandardOpenOption.READ)) {
            folder.force(true);
        } catch (AccessDeniedException e) {
            throw e;
        } catch (IOException e) {
            if (!syncsNoFolders(path)) {
                throw new IOException(path + ": making it durable failed: " + e.getMessage(), e);
            }
        }
    }

    /** Asked for the number of the error: Java's words for it are of the caller's language. */
    private static boolean syncsNoFolders(Path folder) throws IOException {
        int fd = FileDescriptors.open(folder.toString(), FileDescriptors.O_RDONLY);
        try {
            FileDescriptors.sync(fd);
            return false;
        } catch (ErrnoException e) {
            return e.is(Errno.EINVAL);
        } finally {
            FileDescriptors.close(fd);
        }
    }
}
