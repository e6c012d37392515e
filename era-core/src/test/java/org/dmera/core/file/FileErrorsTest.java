// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class FileErrorsTest {
    @TempDir
    Path folder;

    @Test
    void everyErrorNamesItsFileAndTheReason() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        assertFails(folder, "Is a directory", () -> FileErrors.readAllBytes(folder));
        assertFails(file, "Not a directory", () -> Folders.make(file));
        assertFails(file, "File exists", () -> Files.createDirectory(file));
        Path none = folder.resolve("none");
        assertFails(none, "No such file or directory", () -> FileErrors.readAllBytes(none));
        assertFails(file.resolve("below"), "Not a directory", () -> FileErrors.readAllBytes(file.resolve("below")));
    }

    @Test
    void whatCanNotBeLookedAtIsNoAbsentFile() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        assertTrue(FileErrors.isThere(file));
        assertTrue(FileErrors.isThere(folder));
        assertFalse(FileErrors.isThere(folder.resolve("none")));
        assertFalse(FileErrors.isThere(folder.resolve("none/below")));
        assertFails(file.resolve("below"), "Not a directory", () -> FileErrors.isThere(file.resolve("below")));
        Path loop = Files.createSymbolicLink(folder.resolve("loop"), Path.of("loop"));
        assertThrows(FileSystemException.class, () -> FileErrors.isThere(loop));
    }

    private static void assertFails(Path file, String reason, Executable call) {
        FileSystemException e = assertThrows(FileSystemException.class, call);
        assertEquals(file.toString(), e.getFile());
        assertEquals(reason, FileErrors.reason(e));
    }
}
