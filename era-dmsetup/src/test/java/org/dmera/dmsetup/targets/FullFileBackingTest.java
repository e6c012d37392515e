// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.junit.jupiter.api.Test;

/** A file that takes no more. /dev/full stands for it: what is written there finds no space. */
class FullFileBackingTest {
    private static void assertNoSpace(FileBacking full, ByteBuffer data) {
        ErrnoException e = assertThrows(ErrnoException.class, () -> full.write(1 << 20, data.position(512)));
        assertTrue(e.is(Errno.ENOSPC), e.toString());
        assertEquals(512, data.position(), "nothing was written");
    }

    @Test
    void aWriteToAFullFileSystemFailsForWantOfSpace() throws IOException {
        Path path = Path.of("/dev/full");
        int fd = FileDescriptors.open(path.toString(), FileDescriptors.O_RDWR);
        try (FileBacking full = new FileBacking(path, true, -1, fd)) {
            assertNoSpace(full, ByteBuffer.allocateDirect(4096));
            assertNoSpace(full, ByteBuffer.allocate(4096));
        }
    }
}
