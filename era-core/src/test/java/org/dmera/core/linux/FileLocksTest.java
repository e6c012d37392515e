// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FileLocksTest {
    @TempDir
    private Path folder;

    /** As unions of folders and network file systems have them, somewhere on the machine. */
    @Test
    void anInodeOfSixtyFourBitsAmongTheLocksIsAnInodeLikeAnyOther() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        String other = "1: FLOCK  ADVISORY  WRITE 1 00:2f:18446744073709551615 0 EOF\n";
        assertFalse(FileLocks.heldElsewhere(file, other));
        long device = (long) Files.getAttribute(file, "unix:dev");
        String own = "2: FLOCK  ADVISORY  WRITE 1 %02x:%02x:%d 0 EOF\n"
                .formatted(DeviceNumber.major(device), DeviceNumber.minor(device), (long)
                        Files.getAttribute(file, "unix:ino"));
        assertTrue(FileLocks.heldElsewhere(file, other + own));
    }
}
