// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventDescriptorTest {
    /** So many descriptors that one of them has the number of the one that was closed before. */
    private static final int FILES = 16;

    @TempDir
    Path folder;

    private static boolean isEvent(Path number) {
        try {
            return Files.readSymbolicLink(number).toString().equals("anon_inode:[eventfd]");
        } catch (IOException e) {
            // Another thread has closed it meanwhile.
            return false;
        }
    }

    @Test
    void oneThatIsRaisedAfterItWasClosedWritesToNoFileThatHasGotItsNumber() throws Exception {
        byte[] data = {1, 2, 3, 4, 5, 6, 7, 8, 9};
        Path file = Files.write(folder.resolve("data"), data);
        EventDescriptor event = new EventDescriptor();
        List<Path> numbers;
        try (Stream<Path> all = Files.list(Path.of("/proc/self/fd"))) {
            numbers = all.filter(EventDescriptorTest::isEvent).toList();
        }
        event.close();
        List<Integer> opened = new ArrayList<>();
        try {
            for (int i = 0; i < FILES; i++) {
                opened.add(FileDescriptors.open(file.toString(), FileDescriptors.O_RDWR));
            }
            assertTrue(
                    opened.stream().anyMatch(fd -> numbers.contains(Path.of("/proc/self/fd/" + fd))),
                    "no file has got its number");
            event.raise();
            assertArrayEquals(data, Files.readAllBytes(file));
        } finally {
            for (int fd : opened) {
                FileDescriptors.close(fd);
            }
        }
    }
}
