// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The file behind a view. */
@Timeout(300)
class CowFileTest {
    @TempDir
    Path folder;

    private boolean canBeUnnamed() throws IOException {
        try {
            FileDescriptors.close(FileDescriptors.unnamed(folder.toString(), 0600));
            return true;
        } catch (ErrnoException e) {
            return false;
        }
    }

    @Test
    void itHasNoNameAtAnyTimeThatAKillCouldLeave() throws Exception {
        assumeTrue(canBeUnnamed(), "needs a file system with files that have no name (O_TMPFILE)");
        try (WatchService watch = folder.getFileSystem().newWatchService()) {
            folder.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
            try (CowFile file = CowFile.create(folder, 1 << 20)) {
                byte[] data = {1, 2, 3, 4};
                file.write(512, ByteBuffer.wrap(data));
                file.sync();
                ByteBuffer read = ByteBuffer.allocate(4);
                file.read(512, read);
                assertArrayEquals(data, read.array());
            }
            Path last = Files.createFile(folder.resolve("last"));
            List<String> seen = new ArrayList<>();
            while (!seen.contains(last.getFileName().toString())) {
                WatchKey key = watch.poll(30, TimeUnit.SECONDS);
                for (WatchEvent<?> event : key.pollEvents()) {
                    seen.add(event.context().toString());
                }
                key.reset();
            }
            assertEquals(List.of("last"), seen);
        }
    }

    @Test
    void afterwardsNothingIsInTheFolder() throws IOException {
        CowFile.create(folder, 1 << 20).close();
        try (CowFile file = CowFile.create(folder, 1 << 20)) {
            assertEquals(0, folder.toFile().list().length, file.folder().toString());
        }
    }

    @Test
    void aFolderThatIsNotThereIsNamed() {
        ErrnoException e = assertThrows(ErrnoException.class, () -> CowFile.create(folder.resolve("none"), 1));
        assertEquals("open " + folder.resolve("none") + ": No such file or directory", e.getMessage());
    }

    /** Else the view would be lost by the first write to the end of its device, in the middle of a backup. */
    @Test
    void whereNoFileCanBeAsLargeAsTheDeviceThereIsNone() throws IOException {
        assumeTrue(
                "ext4".equals(Files.getFileStore(folder).type()), "others' files, tmpfs's and xfs's, can be as large");
        ErrnoException e = assertThrows(ErrnoException.class, () -> CowFile.create(folder, Long.MAX_VALUE));
        assertEquals("a file of up to " + Long.MAX_VALUE + " bytes in " + folder + ": File too large", e.getMessage());
        assertEquals(0, folder.toFile().list().length);
    }
}
