// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.device.DeviceEvents;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class EventsTest {
    private static final DeviceId VOL = DeviceId.ofName("vol");

    @TempDir
    Path folder;

    private static CompletableFuture<DmIoctl> waitFor(DmClient client, int seen) {
        return CompletableFuture.supplyAsync(() -> {
            try {
                return DmCall.of("waitevent", DmCommand.DEV_WAIT, VOL)
                        .eventNr(seen)
                        .run(client.control());
            } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
    }

    private static void awaitWaiter(DeviceEvents events) {
        while (events.waiting() == 0) {
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
        }
    }

    @Test
    void noAnswerHasAFlagThatOnlyItsCallerHasSet() throws Exception {
        int flags = DmFlags.UEVENT_GENERATED | DmFlags.SECURE_DATA | DmFlags.DATA_OUT | DmFlags.BUFFER_FULL;
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            engine.createEra(client, "vol", 8192, 8);
            DmIoctl info = DmCall.of("info", DmCommand.DEV_STATUS, VOL)
                    .flag(flags, true)
                    .run(client.control());
            assertFalse(info.has(flags));
        }
    }

    @Test
    void aRenameIsAnEventAndARemovalIsTheLastOneThatStillTellsTheStatus() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient waiter = engine.client();
                DmClient client = engine.client()) {
            engine.createEra(client, "vol", 8192, 8);
            DeviceEvents events = engine.registry().byName("vol").events();
            CompletableFuture<DmIoctl> first = waitFor(waiter, 0);
            awaitWaiter(events);
            DmCall.of("rename", DmCommand.DEV_RENAME, VOL).text("other").run(client.control());
            assertEquals(1, first.get().eventNr());
            DmCall.of("rename", DmCommand.DEV_RENAME, DeviceId.ofName("other"))
                    .text("vol")
                    .run(client.control());

            CompletableFuture<DmIoctl> last = waitFor(waiter, 2);
            awaitWaiter(events);
            TestEngine.remove(client, "vol");

            DmIoctl answer = last.get();
            assertEquals(3, answer.eventNr());
            List<TargetSpec> status = TargetSpec.decodeAnswer(answer);
            assertEquals("era", status.get(0).type());
        }
    }

    @Test
    void anEventThatHasHappenedIsNotWaitedFor() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            TestEngine.create(client, "vol", new TargetSpec(0, 8, "zero", ""));
            assertEquals(0, waitFor(client, 7).get().eventNr());
        }
    }

    @Test
    void whoWaitsHoldsUpNobodyAndMayLeave() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            TestEngine.create(client, "vol", new TargetSpec(0, 8, "zero", ""));
            DmClient waiter = engine.client();
            CompletableFuture<DmIoctl> never = waitFor(waiter, 0);
            awaitWaiter(engine.registry().byName("vol").events());
            TestEngine.suspend(client, "vol");
            TestEngine.resume(client, "vol");
            assertEquals("zero", client.table(VOL).get(0).type());
            waiter.close();
            assertThrows(java.util.concurrent.ExecutionException.class, never::get);
            TestEngine.remove(client, "vol");
        }
    }

    @Test
    void anOpenDeviceIsRemovedAtItsLastCloseIfThatWasAskedFor() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            TestEngine.create(client, "vol", new TargetSpec(0, 8, "zero", ""));
            TestEngine.create(client, "top", new TargetSpec(0, 8, "linear", "engine:vol 0"));
            DmException busy = assertThrows(DmException.class, () -> TestEngine.remove(client, "vol"));
            assertTrue(busy.is(Errno.EBUSY));
            DmCall.of("remove", DmCommand.DEV_REMOVE, VOL)
                    .flag(org.dmera.dmsetup.ioctl.DmFlags.DEFERRED_REMOVE, true)
                    .run(client.control());
            assertTrue(client.exists(VOL));
            TestEngine.remove(client, "top");
            while (client.exists(VOL)) {
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
            }
        }
    }

    @Test
    void minorsAreHandedOutLowestFirst() throws Exception {
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            for (String name : List.of("a", "b", "c")) {
                TestEngine.create(client, name, new TargetSpec(0, 8, "zero", ""));
            }
            TestEngine.remove(client, "b");
            TestEngine.create(client, "d", new TargetSpec(0, 8, "zero", ""));
            assertEquals(1, engine.registry().byName("d").minor());
        }
    }
}
