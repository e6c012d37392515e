// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.dmera.dmsetup.targets.Threads;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One who is told of devices and finds no memory for what it has to do then. */
@Timeout(300)
class FailingListenerTest {
    private final DeviceRegistry registry = new DeviceRegistry(
            TargetRegistry.simple(),
            (device, readOnly, found) -> name -> null,
            task -> new Thread(task).start(),
            DeviceStore.NONE,
            EngineLog.silent());

    @Test
    void itNeitherKeepsADeviceFromItsNextChangeNorOthersFromBeingTold() throws Exception {
        List<String> told = new CopyOnWriteArrayList<>();
        registry.addListener(new DeviceListener() {
            @Override
            public void resumed(MappedDevice device) {
                throw new OutOfMemoryError("for the test");
            }
        });
        registry.addListener(new DeviceListener() {
            @Override
            public void resumed(MappedDevice device) {
                told.add(device.name());
            }
        });
        MappedDevice device = registry.create("vol", "", OptionalInt.empty());
        device.load(List.of(new TargetSpec(0, 8, "zero", "")), false);
        make(device::resume);
        make(device::suspend);
        assertTrue(device.isSuspended());
        make(device::resume);
        assertEquals(List.of("vol", "vol"), told);
        make(() -> registry.remove(device, false));
    }

    /** On a thread of its own: one that has ended must not have kept anything. */
    private static void make(Change change) throws Exception {
        FutureTask<Void> made = new FutureTask<>(() -> {
            change.make();
            return null;
        });
        Threads.start("change of a device", made);
        made.get(20, TimeUnit.SECONDS);
    }

    private interface Change {
        void make() throws Exception;
    }
}
