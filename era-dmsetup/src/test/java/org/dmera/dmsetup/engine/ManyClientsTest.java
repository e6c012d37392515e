// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Many calls at once, and calls while a device is suspended or under load. */
class ManyClientsTest {
    @TempDir
    Path folder;

    @Test
    @Timeout(600)
    void everyAnswerBelongsToItsQuestionAndNothingDeadlocks() throws Exception {
        try (TestEngine engine = new TestEngine(folder)) {
            ExecutorService pool = Executors.newFixedThreadPool(64);
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < 64; i++) {
                int number = i;
                all.add(pool.submit(() -> {
                    live(engine, "c" + number, number);
                    return null;
                }));
            }
            for (Future<?> one : all) {
                one.get();
            }
            pool.shutdown();
            assertTrue(engine.registry().devices().isEmpty());
        }
    }

    private static void live(TestEngine engine, String name, int number) throws IOException {
        try (DmClient client = engine.client()) {
            for (int round = 0; round < 10; round++) {
                long sectors = 8 + number * 8L + round;
                TestEngine.create(client, name, new TargetSpec(0, sectors, "zero", ""));
                DeviceId id = DeviceId.ofName(name);
                DmIoctl info = client.info(id);
                assertEquals(name, info.name());
                assertEquals(List.of(new TargetSpec(0, sectors, "zero", "")), client.status(id));
                DmException refused = assertThrows(DmException.class, () -> client.message(id, 0, "checkpoint"));
                assertTrue(refused.is(Errno.EINVAL));
                assertTrue(client.list().stream().anyMatch(entry -> entry.name().equals(name)));
                DmCall.of("rename", DmCommand.DEV_RENAME, id).text(name + "r").run(client.control());
                assertEquals(
                        info.dev(), client.info(DeviceId.ofName(name + "r")).dev());
                TestEngine.suspend(client, name + "r");
                TestEngine.remove(client, name + "r");
            }
        }
    }

    @Test
    @Timeout(300)
    void messagesAndStatusOfASuspendedDeviceAreAnsweredAtOnce() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client();
                DmClient other = engine.client()) {
            engine.createEra(client, "held", 8192, 8);
            DeviceId held = DeviceId.ofName("held");
            TestEngine.suspend(client, "held");
            // A write that is held back must not hold back anything else.
            Thread writer = new Thread(() -> {
                try {
                    engine.registry().byName("held").io().write(0, ByteBuffer.allocate(4096), 0);
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            writer.start();

            DmException refused = assertThrows(DmException.class, () -> other.message(held, 0, "checkpoint"));
            assertTrue(refused.is(Errno.EBUSY), refused.getMessage());
            assertEquals(1, other.eraStatus(held).currentEra());
            assertEquals("era", other.table(held).get(0).type());

            TestEngine.resume(client, "held");
            writer.join();
            assertEquals(2, other.eraStatus(held).currentEra());
        }
    }

    /** Looks for a millisecond at a time at how long this machine leaves a thread without a processor. */
    private static final class Pauses extends Thread {
        private volatile boolean stop;
        private volatile long longestNanos;

        @Override
        public void run() {
            while (!stop) {
                long start = System.nanoTime();
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
                longestNanos = Math.max(longestNanos, System.nanoTime() - start);
            }
        }

        long end() throws InterruptedException {
            stop = true;
            join();
            return longestNanos;
        }
    }

    @Test
    @Timeout(600)
    void everyStatusIsAnsweredWithin100MillisecondsUnderHeavyWrites() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            engine.createEra(client, "busy", 131_072, 8);
            DeviceId busy = DeviceId.ofName("busy");
            DeviceIo io = engine.registry().byName("busy").io();
            AtomicBoolean stop = new AtomicBoolean();
            List<Thread> writers = new ArrayList<>();
            Pauses pauses = new Pauses();
            pauses.start();
            for (int i = 0; i < 4; i++) {
                Random random = new Random(i);
                Thread writer = new Thread(() -> {
                    ByteBuffer data = ByteBuffer.allocateDirect(4096);
                    while (!stop.get()) {
                        try {
                            io.write(random.nextInt(16_384) * 4096L, data.clear(), 0);
                        } catch (IOException e) {
                            throw new java.io.UncheckedIOException(e);
                        }
                    }
                });
                writers.add(writer);
                writer.start();
            }
            long[] nanos = new long[200];
            for (int i = 0; i < nanos.length; i++) {
                if (i % 10 == 0) {
                    // Every block is unmarked again.
                    client.message(busy, 0, "checkpoint");
                }
                long start = System.nanoTime();
                client.status(busy);
                nanos[i] = System.nanoTime() - start;
            }
            stop.set(true);
            for (Thread writer : writers) {
                writer.join();
            }
            long pause = pauses.end();
            Arrays.sort(nanos);
            long worst = nanos[nanos.length - 1];
            String figures = "status under writes: median " + nanos[nanos.length / 2] / 1000 + " µs, worst "
                    + worst / 1000 + " µs; longest pause of the machine " + pause / 1000 + " µs";
            System.out.println(figures);
            // An answer passes through three threads, and each may be left without a processor as long as the one that
            // looked for that. That status waits for no device is proved by StatusWhileDevicesHangTest.
            assertTrue(worst < TimeUnit.MILLISECONDS.toNanos(100) + 3 * pause, figures);
        }
    }
}
