// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The engine's stop meets commands that are under way. */
@Timeout(300)
class StopTest {
    private final CountDownLatch saving = new CountDownLatch(1);
    private final CountDownLatch save = new CountDownLatch(1);
    private final DeviceRegistry registry = new DeviceRegistry(
            TargetRegistry.simple(),
            (mapped, readOnly, found) -> name -> {
                throw new IOException(name);
            },
            task -> new Thread(task).start(),
            new DeviceStore() {
                @Override
                public void save(DeviceRecord record) {
                    if (record.suspended()) {
                        saving.countDown();
                        join(save);
                    }
                }

                @Override
                public void delete(int minor) {}
            },
            EngineLog.silent());

    private static void join(CountDownLatch latch) {
        try {
            assertTrue(latch.await(30, TimeUnit.SECONDS));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @AfterEach
    void stop() {
        save.countDown();
        ShutdownSteps steps = new ShutdownSteps(EngineLog.silent());
        registry.suspendAll(steps);
        registry.closeAll(steps);
    }

    private MappedDevice running() throws IOException {
        MappedDevice device = registry.create("vol", "", OptionalInt.empty());
        device.load(List.of(new TargetSpec(0, 8, "zero", "")), false);
        device.resume();
        return device;
    }

    private interface Call {
        void run() throws IOException;
    }

    private static CompletableFuture<Void> start(Call call) {
        return CompletableFuture.runAsync(
                () -> {
                    try {
                        call.run();
                    } catch (IOException e) {
                        throw new IllegalStateException(e);
                    }
                },
                task -> new Thread(task).start());
    }

    /** Else a device on top of it would not come to rest, and the engine not to its end. */
    @Test
    void whatADeviceHoldsFailsWhoseSuspendIsDoneAfterTheStopBegan() throws Exception {
        MappedDevice device = running();
        CompletableFuture<Void> suspend = start(device::suspend);
        join(saving);
        CompletableFuture<Void> write = start(() -> device.io().write(0, ByteBuffer.allocate(512), 0));
        registry.beginStop();
        save.countDown();
        suspend.get();

        ExecutionException failed = assertThrows(ExecutionException.class, write::get);
        assertEquals(Errno.ESHUTDOWN.number(), errnoOf(failed.getCause().getCause()));
    }

    @Test
    void aCommandThatComesAfterADeviceWasStoppedChangesNothing() throws Exception {
        MappedDevice device = running();
        device.load(List.of(new TargetSpec(0, 16, "zero", "")), false);
        registry.beginStop();
        registry.suspendAll(new ShutdownSteps(EngineLog.silent()));

        for (Call call : List.<Call>of(device::resume, device::suspend, device::clear)) {
            assertEquals(Errno.ESHUTDOWN.number(), errnoOf(assertThrows(IOException.class, call::run)));
        }
        assertEquals(8, device.lines(false, true).get(0).lengthSectors());
    }

    private static int errnoOf(Throwable failure) {
        return ((ErrnoException) failure).errno();
    }
}
