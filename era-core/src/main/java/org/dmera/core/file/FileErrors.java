// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.file.AccessDeniedException;
import java.nio.file.AccessMode;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * What errors of the file system say to people: which file, and why. Java leaves out why where the kind of the exception
 * tells it, and which file where a file is read that was opened before.
 */
public final class FileErrors {
    private FileErrors() {}

    /** Why it failed, in the system's words; null when nobody knows. */
    public static String reason(FileSystemException e) {
        if (e.getReason() != null) {
            return e.getReason();
        }
        return e instanceof NoSuchFileException
                ? "No such file or directory"
                : e instanceof AccessDeniedException
                        ? "Permission denied"
                        : e instanceof FileAlreadyExistsException
                                ? "File exists"
                                : e instanceof NotDirectoryException ? "Not a directory" : null;
    }

    /**
     * Whether there is such a file or folder. Unlike with {@link Files#exists}, one that can't be looked at is no absent one:
     * whoever remembers something in a file would take it for never said.
     */
    public static boolean isThere(Path path) throws IOException {
        try {
            Files.readAttributes(path, BasicFileAttributes.class);
            return true;
        } catch (NoSuchFileException e) {
            return false;
        }
    }

    /** Fails, in one line, where the caller can't use {@code path} so: for want of a right, or on a read-only file system. */
    public static void requireAccess(Path path, AccessMode... modes) throws IOException {
        try {
            path.getFileSystem().provider().checkAccess(path, modes);
        } catch (FileSystemException e) {
            throw new IOException(reason(e) + ": " + path, e);
        }
    }

    /** All of a file, with errors that name it. */
    public static byte[] readAllBytes(Path file) throws IOException {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw named(file, e);
        }
    }

    /** An error of {@code file}, which says so: as it is, if it names a file already. */
    public static FileSystemException named(Path file, IOException e) {
        if (e instanceof FileSystemException says) {
            return says;
        }
        FileSystemException named = new FileSystemException(file.toString(), null, why(e));
        named.initCause(e);
        return named;
    }

    /** What an error says, also of a channel that is closed, of which Java says nothing. */
    public static String why(IOException e) {
        return e.getMessage() == null && e instanceof ClosedChannelException ? "it is closed" : e.getMessage();
    }
}
