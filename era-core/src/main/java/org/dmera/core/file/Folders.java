// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.util.ArrayDeque;
import java.util.Deque;

/** Folders for what is to outlast a power cut: a file is no more durable than each folder on the way to it. */
public final class Folders {
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
