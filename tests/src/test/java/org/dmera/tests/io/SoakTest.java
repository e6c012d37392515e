// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Everything at once for a while: I/O with verification, checkpoints, snapshots, status, suspend and resume. */
@Alone
class SoakTest {
    /** {@code -Dera.soak.seconds=N}: as long. */
    private static final int SECONDS = Integer.getInteger("era.soak.seconds", Host.NIGHTLY ? 600 : 30);

    private static final int WRITERS = 3;
    private static final int BLOCKS_EACH = 4096;
    private static final int LEAST_WRITES = 1000;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;
    private static final long STATUS_LIMIT_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    @TempDir
    private Path folder;

    private final AtomicReference<Throwable> failed = new AtomicReference<>();
    private volatile boolean stop;
    private volatile long knownEra = 1;

    private interface Loop {
        void once(int round) throws Exception;
    }

    private Thread loop(Loop loop) {
        Thread thread = new Thread(() -> {
            try {
                for (int i = 0; !stop; i++) {
                    loop.once(i);
                }
            } catch (Throwable t) {
                failed.compareAndSet(null, t);
                stop = true;
            }
        });
        thread.start();
        return thread;
    }

    @Test
    @Timeout(900)
    void nothingIsLostNothingHangsAndNothingGrows() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            MappedDevice device = engine.createEra("vol", (WRITERS * BLOCKS_EACH * BLOCK >> 20) + 1);
            List<StampWriter> writers = new ArrayList<>();
            List<Thread> threads = new ArrayList<>();
            for (int w = 0; w < WRITERS; w++) {
                writers.add(new StampWriter(
                        folder.resolve("nbd"), "vol", w * BLOCKS_EACH, BLOCKS_EACH, w, 0, () -> knownEra));
                threads.add(new Thread(writers.get(w)));
                threads.get(w).start();
            }
            List<Long> statusNanos = new ArrayList<>();
            threads.add(loop(i -> {
                message(device, i % 3 == 1 ? "take_metadata_snap" : i % 3 == 2 ? "drop_metadata_snap" : "checkpoint");
                // Nobody else sends messages, so this era's marks are in force.
                knownEra = Integer.toUnsignedLong(TestEngine.era(device).currentEra());
            }));
            threads.add(loop(i -> {
                long start = System.nanoTime();
                String status = device.lines(false, false).get(0).params();
                statusNanos.add(System.nanoTime() - start);
                assertTrue(status.matches("8 \\d+/2048 \\d+ (-|\\d+)"), status);
                pause(5);
            }));
            threads.add(loop(i -> {
                device.suspend();
                device.resume();
                pause(200);
            }));
            threads.add(loop(i -> {
                long[] eras = TestEngine.eras(device);
                assertEquals(0, eras[eras.length - 1], "nobody writes the last block");
                pause(50);
            }));

            pause(TimeUnit.SECONDS.toMillis(SECONDS) / 3);
            long filesBefore = openFiles();
            long memoryBefore = memory();
            pause(TimeUnit.SECONDS.toMillis(SECONDS) * 2 / 3);
            while (!stop && writers.stream().anyMatch(writer -> writer.count() <= LEAST_WRITES)) {
                // A slow disk takes longer.
                pause(100);
            }
            long filesAfter = openFiles();
            long memoryAfter = memory();

            writers.forEach(StampWriter::stop);
            stop = true;
            for (Thread thread : threads) {
                thread.join(TimeUnit.SECONDS.toMillis(60));
                assertTrue(!thread.isAlive(), "hangs: " + List.of(thread.getStackTrace()));
            }
            if (failed.get() != null) {
                throw new AssertionError(failed.get());
            }
            verify(device, writers);
            assertTrue(filesAfter <= filesBefore + 8, "descriptors grew from " + filesBefore + " to " + filesAfter);
            assertTrue(
                    memoryAfter <= memoryBefore + (32 << 20),
                    "memory grew from " + memoryBefore + " to " + memoryAfter + " bytes");
            statusNanos.sort(null);
            // One in a hundred may have met a pause of a busy test machine.
            long p99 = statusNanos.get(statusNanos.size() * 99 / 100);
            assertTrue(p99 < 50 * STATUS_LIMIT_NANOS, "status took " + p99 / 1_000_000 + " ms");
        }
    }

    private static void message(MappedDevice device, String word) throws IOException {
        try {
            device.message(0, List.of(word));
        } catch (org.dmera.core.linux.ErrnoException e) {
            // A suspended device refuses messages, and then there is no snapshot to drop.
            if (!e.is(org.dmera.core.linux.Errno.EBUSY) && !e.is(org.dmera.core.linux.Errno.EINVAL)) {
                throw e;
            }
        }
    }

    private void pause(long millis) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        while (!stop && System.nanoTime() < end) {
            java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
        }
    }

    private static void verify(MappedDevice device, List<StampWriter> writers) throws IOException {
        long[] eras = TestEngine.eras(device);
        ByteBuffer data = ByteBuffer.allocate(BLOCK);
        for (int w = 0; w < writers.size(); w++) {
            StampWriter writer = writers.get(w);
            for (int i = 0; i < BLOCKS_EACH; i++) {
                int block = w * BLOCKS_EACH + i;
                device.io().read((long) block * BLOCK, data.clear());
                assertEquals(writer.acked(i), StampWriter.stampOf(data), "block " + block);
                assertTrue(
                        eras[block] >= writer.ackedEra(i),
                        "block " + block + " has era " + eras[block] + ", written in " + writer.ackedEra(i));
            }
        }
    }

    private static long openFiles() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
            return files.count();
        }
    }

    /** Heap that is in use, and direct buffers. */
    private static long memory() {
        System.gc();
        long bytes = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
        for (BufferPoolMXBean buffers : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
            bytes += buffers.getMemoryUsed();
        }
        return bytes;
    }
}
