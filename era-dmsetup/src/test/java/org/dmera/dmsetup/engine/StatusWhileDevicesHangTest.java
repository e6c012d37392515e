// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.EngineControl;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.MemoryBacking;
import org.dmera.dmsetup.targets.TargetFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Status is answered within 100 ms under any load, because it waits for no I/O: it is answered while the origin, or the
 * metadata device, does not answer at all. The times asserted here leave room for a machine that pauses.
 */
@Timeout(300)
class StatusWhileDevicesHangTest {
    private static final int BLOCK = 4096;
    private static final long AT_ONCE_NANOS = TimeUnit.SECONDS.toNanos(60);
    private static final DeviceId VOL = DeviceId.ofName("vol");

    private final MemoryBacking metadata = new MemoryBacking("meta", 1024 * BLOCK);
    private final MemoryBacking origin = new MemoryBacking("origin", 8192 * BLOCK);
    private final ExecutorService background = Executors.newCachedThreadPool();
    private final CountDownLatch held = new CountDownLatch(1);
    private final CountDownLatch release = new CountDownLatch(1);

    private MappedDevice device;
    private DmClient client;

    @BeforeEach
    void createDevice() throws IOException {
        Map<String, Backing> backings = Map.of("meta", metadata, "origin", origin);
        DeviceRegistry registry = new DeviceRegistry(
                Engine.targetTypes(EngineLog.silent()),
                (forDevice, readOnly, found) -> new TargetFactory.BackingOpener() {
                    @Override
                    public Backing open(String name) throws IOException {
                        if (!backings.containsKey(name)) {
                            throw new ErrnoException("open " + name, Errno.ENOENT.number());
                        }
                        return backings.get(name);
                    }

                    @Override
                    public Object owner() {
                        return forDevice;
                    }
                },
                background,
                DeviceStore.NONE,
                EngineLog.silent());
        device = registry.create("vol", "", OptionalInt.empty());
        device.load(List.of(new TargetSpec(0, 65_536, "era", "meta origin 8")), false);
        device.resume();
        client = new DmClient(new EngineControl(registry, Map.of()));
    }

    @AfterEach
    void letGo() throws IOException {
        release.countDown();
        metadata.hook = (operation, offset, length) -> {};
        origin.hook = metadata.hook;
        device.suspend();
        background.shutdown();
    }

    /** Makes {@code backing} take no {@code operation} until the end of the test. */
    private void hold(MemoryBacking backing, String operation) {
        backing.hook = (what, offset, length) -> {
            if (what.equals(operation)) {
                held.countDown();
                try {
                    assertTrue(release.await(240, TimeUnit.SECONDS));
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
            }
        };
    }

    private Future<?> write(long block) {
        return background.submit(() -> {
            try {
                device.io().write(block * BLOCK, ByteBuffer.allocate(BLOCK), 0);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    private String statusAtOnce() throws IOException {
        long start = System.nanoTime();
        String status = client.status(VOL).get(0).params();
        long took = System.nanoTime() - start;
        assertTrue(took < AT_ONCE_NANOS, () -> "status took " + took + " ns");
        return status;
    }

    /** A busy machine tells older figures at first. */
    private void awaitStatus(String expected) throws IOException {
        while (!statusAtOnce().equals(expected)) {
            Thread.onSpinWait();
        }
    }

    @Test
    void whileTheOriginHoldsAWriteStatusTellsFreshFigures() throws Exception {
        hold(origin, "write");
        Future<?> writing = write(7);
        assertTrue(held.await(240, TimeUnit.SECONDS));

        awaitStatus("8 17/1024 1 -");
        client.message(VOL, 0, "checkpoint");
        assertTrue(statusAtOnce().matches("8 \\d+/1024 2 -"));
        assertFalse(writing.isDone());

        release.countDown();
        writing.get(240, TimeUnit.SECONDS);
    }

    @Test
    void whileTheMetadataDeviceHoldsACommitStatusTellsTheLastFigures() throws Exception {
        client.message(VOL, 0, "checkpoint");
        String before = "8 19/1024 2 -";
        awaitStatus(before);
        hold(metadata, "flush");
        Future<?> writing = write(7);
        assertTrue(held.await(240, TimeUnit.SECONDS));

        for (int i = 0; i < 5; i++) {
            assertEquals(before, statusAtOnce());
        }
        assertEquals("meta origin 8", client.table(VOL).get(0).params());
        assertFalse(writing.isDone());

        release.countDown();
        writing.get(240, TimeUnit.SECONDS);
        assertTrue(statusAtOnce().matches("8 \\d+/1024 2 -"));
    }

    @Test
    void whenOnlyItsOwnCommitIsHeldStatusTellsItsOwnFigures() throws Exception {
        // The first status after a checkpoint sees the digestion that it has woken.
        client.message(VOL, 0, "checkpoint");
        hold(metadata, "flush");
        // On a busy machine it need not come so far while this one waits; the next one takes its figures.
        statusAtOnce();
        assertTrue(held.await(240, TimeUnit.SECONDS));
        assertEquals("8 19/1024 2 -", statusAtOnce());
        assertEquals(1, client.table(VOL).size());
    }
}
