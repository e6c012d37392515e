// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A thread with open files of its own has kept what classes are loaded from. */
class OwnDescriptorsTest {
    @TempDir
    Path folder;

    private static <T> T inThreadOfItsOwn(Callable<T> action) throws Exception {
        FutureTask<T> task = new FutureTask<>(() -> {
            OwnDescriptors.unshare();
            return action.call();
        });
        new Thread(task).start();
        return task.get();
    }

    /** As an upgrade of the package leaves a running engine's: what had not been loaded by then would be missing. */
    @Test
    void aJarStaysOpenThatWasDeletedOrReplacedSinceItWasOpened() throws Exception {
        Path jar = Files.createFile(folder.resolve("some.jar"));
        Path other = Files.createFile(folder.resolve("jar.data"));
        int kept = FileDescriptors.open(jar.toString(), FileDescriptors.O_RDWR);
        int closed = FileDescriptors.open(other.toString(), FileDescriptors.O_RDWR);
        try {
            Files.delete(jar);
            Files.delete(other);
            assertEquals(kept, inThreadOfItsOwn(() -> {
                FileDescriptors.sync(kept);
                assertThrows(ErrnoException.class, () -> FileDescriptors.sync(closed));
                return kept;
            }));
            FileDescriptors.sync(closed);
        } finally {
            FileDescriptors.close(kept);
            FileDescriptors.close(closed);
        }
    }
}
