// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;

/** Folders for what is to outlast a power cut: a file is no more durable than each folder on the way to it. */
public final class Folders {
    /** Of a folder that is for its owner alone. */
    public static final FileAttribute<Set<PosixFilePermission>> PRIVATE =
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    private Folders() {}

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
            FileReplacement.syncFolderOf(made);
        }
    }
}
