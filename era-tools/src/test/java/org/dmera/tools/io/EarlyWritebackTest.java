// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class EarlyWritebackTest {
    @TempDir
    private Path folder;

    private Path path;
    private FileChannel file;

    @BeforeEach
    void open() throws IOException {
        path = folder.resolve("output");
        file = FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }

    @AfterEach
    void close() throws IOException {
        file.close();
    }

    private static void write(EarlyWriteback output, int bytes) throws IOException {
        output.write(ByteBuffer.allocate(bytes));
    }

    @Test
    void whatIsWrittenGoesToTheDiskStepByStepMeanwhile() throws Exception {
        Semaphore syncs = new Semaphore(0);
        EarlyWriteback output = new EarlyWriteback(file, "x", 10) {
            @Override
            void sync() throws IOException {
                super.sync();
                syncs.release();
            }
        };
        write(output, 9);
        write(output, 1);
        syncs.acquire();
        output.write(ByteBuffer.wrap(new byte[] {1, 2, 3}));
        output.finish();
        assertEquals(0, syncs.availablePermits(), "three bytes are no step");
        byte[] expected = new byte[13];
        System.arraycopy(new byte[] {1, 2, 3}, 0, expected, 10, 3);
        assertArrayEquals(expected, Files.readAllBytes(path));
    }

    /** The kernel tells it to the first who asks, and not to the one who syncs at the end. */
    private EarlyWriteback onADiskThatFailsOnce(CountDownLatch failed) {
        return new EarlyWriteback(file, "x", 10) {
            @Override
            void sync() throws IOException {
                failed.countDown();
                throw new IOException("No space left on device");
            }
        };
    }

    @Test
    void anErrorThatOnlyTheThreadWasToldFailsTheEnd() throws Exception {
        CountDownLatch failed = new CountDownLatch(1);
        EarlyWriteback output = onADiskThatFailsOnce(failed);
        write(output, 10);
        failed.await();
        IOException e = assertThrows(IOException.class, output::finish);
        assertEquals("x: making it durable failed: No space left on device", e.getMessage());
    }

    @Test
    void anErrorThatOnlyTheThreadWasToldFailsWhatIsWrittenNext() throws Exception {
        EarlyWriteback output = onADiskThatFailsOnce(new CountDownLatch(1));
        assertThrows(IOException.class, () -> {
            while (true) {
                write(output, 10);
            }
        });
    }

    @Test
    void theEndWaitsForASyncThatIsUnderWay() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch end = new CountDownLatch(1);
        EarlyWriteback output = new EarlyWriteback(file, "x", 10) {
            @Override
            void sync() throws IOException {
                begun.countDown();
                try {
                    end.await();
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
                throw new IOException("late");
            }
        };
        write(output, 10);
        begun.await();
        Thread ending = new Thread(end::countDown);
        ending.start();
        assertEquals(
                "x: making it durable failed: late",
                assertThrows(IOException.class, output::finish).getMessage());
        ending.join();
    }
}
