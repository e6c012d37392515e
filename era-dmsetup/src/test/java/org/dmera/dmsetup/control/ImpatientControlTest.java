// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(300)
class ImpatientControlTest {
    private static final DeviceId DEVICE = DeviceId.ofName("vol");
    private static final String WAITING = "waiting for the device to be resumed: ";

    private final BlockingQueue<String> told = new LinkedBlockingQueue<>();
    private final Kernel kernel = new Kernel();

    /** A kernel with one device. */
    private final class Kernel implements Control {
        private final List<String> asked = new ArrayList<>();
        private final Semaphore looks = new Semaphore(0);
        private volatile boolean suspended;
        private volatile boolean removed;
        private String type = "era";
        /** Whether a status is answered only after the user has been told. */
        private boolean slow;

        @Override
        public int call(int command, ByteBuffer buffer) throws IOException {
            DmIoctl io = DmIoctl.over(buffer);
            if (removed) {
                return -Errno.ENXIO.number();
            }
            assertEquals("vol", io.name());
            boolean isTable = io.has(DmFlags.STATUS_TABLE);
            io.setFlags(DmFlags.EXISTS | (suspended ? DmFlags.SUSPEND : 0));
            if (command == DmCommand.DEV_STATUS.number()) {
                looks.release();
                return 0;
            }
            if (command == DmCommand.TABLE_STATUS.number()) {
                TargetSpec.encodeAnswer(io, List.of(new TargetSpec(0, 8, type, isTable ? "a b 8" : "8 9/64 1 -")));
                io.setTargetCount(1);
            }
            if (!isTable) {
                asked.add(command == DmCommand.TARGET_MSG.number() ? "message" : "status");
                assertFalse(suspended && type.equals("era"), "would hang");
                if (slow) {
                    take();
                }
            }
            return 0;
        }

        @Override
        public String describe() {
            return "a test";
        }
    }

    private String take() {
        try {
            String line = told.poll(60, TimeUnit.SECONDS);
            assertTrue(line != null, "nothing was said");
            return line;
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private DmClient client(long patienceMillis) {
        return client(patienceMillis, Duration.ofMinutes(10));
    }

    private DmClient client(long patienceMillis, Duration longest) {
        return new DmClient(new ImpatientControl(kernel, told::add, patienceMillis, longest));
    }

    @Test
    void aCallThatDoesNotComeBackIsSpokenOf() throws IOException {
        kernel.slow = true;
        assertEquals(9, client(1).eraStatus(DEVICE).usedBlocks());
        assertEquals(List.of("status"), kernel.asked);
    }

    @Test
    void nothingIsSaidWhileTheKernelAnswers() throws IOException {
        client(60_000).message(DEVICE, 0, "checkpoint");
        client(60_000).status(DEVICE);
        assertEquals(List.of(), List.copyOf(told));
        assertEquals(List.of("message", "status"), kernel.asked);
    }

    @ParameterizedTest
    @ValueSource(strings = {"status", "message"})
    void aSuspendedEraDeviceIsAskedOnlyWhenItIsResumed(String what) throws Exception {
        kernel.suspended = true;
        CompletableFuture<Void> answered = CompletableFuture.runAsync(() -> ask(client(1), what));
        assertTrue(take().startsWith(WAITING));
        kernel.looks.drainPermits();
        assertTrue(kernel.looks.tryAcquire(3, 60, TimeUnit.SECONDS), "looks no more");
        assertEquals(List.of(), kernel.asked);
        kernel.suspended = false;
        answered.get();
        assertEquals(List.of(what), kernel.asked);
        // The answer itself may take longer than the patience of 1 ms, and be spoken of.
        told.removeIf(line -> !line.startsWith(WAITING));
        assertEquals(List.of(), List.copyOf(told), "said twice");
    }

    private static void ask(DmClient client, String what) {
        try {
            if (what.equals("status")) {
                client.status(DEVICE);
            } else {
                client.message(DEVICE, 0, "checkpoint");
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aSuspendedDeviceThatIsRemovedMeanwhileIsNoMore() throws Exception {
        kernel.suspended = true;
        CompletableFuture<DmException> refused = CompletableFuture.supplyAsync(
                () -> assertThrows(DmException.class, () -> client(1).status(DEVICE)));
        take();
        kernel.removed = true;
        assertTrue(refused.get().is(Errno.ENXIO));
    }

    @Test
    void aProgramThatNobodyWatchesDoesNotWaitForEver() throws Exception {
        kernel.suspended = true;
        IOException e = assertThrows(
                IOException.class, () -> client(1, Duration.ofSeconds(1)).eraStatus(DEVICE));
        assertEquals(
                "vol has been suspended for 1 s, and the kernel's era target answers nothing until it is resumed",
                e.getMessage());
        assertEquals(List.of(), kernel.asked);
    }

    @Test
    void whatDoesNotHangIsAskedAtOnce() throws IOException {
        kernel.suspended = true;
        client(60_000).table(DEVICE);
        kernel.type = "linear";
        client(60_000).status(DEVICE);
        assertEquals(List.of("status"), kernel.asked);
    }

    @Test
    void theWaitCanBeInterrupted() throws Exception {
        kernel.suspended = true;
        Thread[] waiting = new Thread[1];
        CompletableFuture<IOException> interrupted = new CompletableFuture<>();
        waiting[0] = new Thread(() -> interrupted.complete(
                assertThrows(IOException.class, () -> client(1).status(DEVICE))));
        waiting[0].start();
        take();
        waiting[0].interrupt();
        assertTrue(interrupted.get().getMessage().contains("suspended"));
    }
}
