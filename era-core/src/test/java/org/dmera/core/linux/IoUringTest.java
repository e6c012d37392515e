// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.linux;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The kernel takes what the ring gives it, each request once and as it was put, and what it answers is found. */
class IoUringTest {
    private static final int CAPACITY = 8;

    @TempDir
    Path folder;

    /** Skips where io_uring is turned off, as in many containers. */
    private static IoUring open(boolean wide) throws ErrnoException {
        try {
            return new IoUring(CAPACITY, wide);
        } catch (ErrnoException e) {
            assumeTrue(!e.is(Errno.EPERM) && !e.is(Errno.ENOSYS) && !e.is(Errno.EINVAL), e.getMessage());
            throw e;
        }
    }

    @Test
    @Timeout(300)
    void everyRequestIsAnsweredOnceAlsoWhenTheRingHasGoneRoundManyTimes() throws IOException {
        Path file = Files.write(folder.resolve("data"), new byte[100]);
        ByteBuffer memory = ByteBuffer.allocateDirect(16);
        long address = RawIo.address(memory);
        int fd = FileDescriptors.open(file.toString(), FileDescriptors.O_RDONLY);
        try (IoUring ring = open(false)) {
            BitSet answered = new BitSet();
            int asked = 0;
            for (int round = 0; round < 50; round++) {
                int batch = 1 + round % CAPACITY;
                for (int i = 0; i < batch; i++) {
                    // Each reads where the file stands: a length of 0 leaves it there.
                    ring.putRead(fd, address, 0, asked++);
                }
                assertEquals(batch, ring.pending());
                ring.enter(batch);
                assertEquals(0, ring.pending());
                for (int i = 0; i < batch; i++) {
                    while (!ring.hasCompletion()) {
                        ring.enter(1);
                    }
                    assertEquals(0, ring.result());
                    assertFalse(answered.get((int) ring.userData()), () -> "twice: " + answered);
                    answered.set((int) ring.userData());
                    ring.next();
                }
                assertFalse(ring.hasCompletion());
            }
            assertEquals(asked, answered.cardinality());
        } finally {
            FileDescriptors.close(fd);
        }
    }

    @Test
    @Timeout(300)
    void anotherThreadWakesTheOneThatWaits() throws Exception {
        try (IoUring ring = open(false);
                EventDescriptor event = new EventDescriptor()) {
            for (int i = 0; i < 3; i++) {
                event.await(ring, 7);
                ring.enter(0);
                assertFalse(ring.hasCompletion());
                Thread other = new Thread(() -> {
                    try {
                        event.raise();
                    } catch (ErrnoException e) {
                        throw new IllegalStateException(e);
                    }
                });
                other.start();
                while (!ring.hasCompletion()) {
                    ring.enter(1);
                }
                assertEquals(7, ring.userData());
                assertEquals(Long.BYTES, ring.result());
                ring.next();
                other.join();
            }
        }
    }

    @Test
    void aCommandThatTheFileDoesNotKnowFailsByItsAnswer() throws IOException {
        int fd = FileDescriptors.open("/dev/null", FileDescriptors.O_RDWR);
        try (IoUring ring = open(true)) {
            ring.putRead(-1, 0, 1, 1);
            ring.enter(1);
            assertTrue(ring.hasCompletion());
            assertEquals(-9, ring.result(), "EBADF");
            ring.next();
            ring.putCommand(fd, 0x7f, 2);
            ring.bodyLong(72, -1);
            ring.enter(1);
            assertEquals(2, ring.userData());
            // /dev/null takes every command since Linux 6.0.
            assertTrue(ring.result() == 0 || ring.result() == -Errno.EOPNOTSUPP.number(), () -> "" + ring.result());
            ring.next();
        } finally {
            FileDescriptors.close(fd);
        }
    }

    @Test
    void aFullRingIsNotOverwritten() throws IOException {
        try (IoUring ring = open(false)) {
            for (int i = 0; i < CAPACITY; i++) {
                ring.putRead(-1, 0, 0, i);
            }
            assertThrows(IllegalStateException.class, () -> ring.putRead(-1, 0, 0, 99));
            ring.enter(CAPACITY);
            int answers = 0;
            while (ring.hasCompletion()) {
                assertTrue(ring.userData() < CAPACITY);
                answers++;
                ring.next();
                if (!ring.hasCompletion() && answers < CAPACITY) {
                    ring.enter(1);
                }
            }
            assertEquals(CAPACITY, answers);
        }
    }
}
