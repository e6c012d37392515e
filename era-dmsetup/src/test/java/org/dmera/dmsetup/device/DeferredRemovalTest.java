// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.io.IOException;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Removals that come with the last close, when there is no thread for them just then. */
@Timeout(300)
class DeferredRemovalTest {
    private final AtomicBoolean exhausted = new AtomicBoolean();
    private final DeviceRegistry registry = new DeviceRegistry(
            TargetRegistry.simple(),
            (device, readOnly) -> name -> null,
            task -> {
                if (exhausted.get()) {
                    throw new OutOfMemoryError("unable to create native thread");
                }
                new Thread(task).start();
            },
            DeviceStore.NONE,
            EngineLog.silent());

    private MappedDevice create(String name) throws IOException {
        MappedDevice device = registry.create(name, "", OptionalInt.empty());
        device.load(List.of(new TargetSpec(0, 8, "zero", "")), false);
        device.resume();
        return device;
    }

    private void deferToClose(MappedDevice device) throws IOException {
        device.open();
        assertFalse(registry.remove(device, true));
        exhausted.set(true);
        device.close();
        exhausted.set(false);
    }

    @Test
    void aRemovalWithoutAThreadIsMadeUpForLater() throws Exception {
        MappedDevice device = create("vol");
        deferToClose(device);
        assertSame(device, registry.byName("vol"));
        MappedDevice other = create("other");
        while (registry.byName("vol") != null || registry.isRemoving()) {
            Thread.onSpinWait();
        }
        assertSame(other, registry.byName("other"));
    }

    @Test
    void whatWasOpenedAgainOrIsWantedAgainStays() throws Exception {
        MappedDevice reopened = create("reopened");
        deferToClose(reopened);
        reopened.open();
        MappedDevice wanted = create("wanted");
        assertSame(reopened, registry.byName("reopened"));
        deferToClose(wanted);
        registry.cancelDeferredRemove(wanted);
        MappedDevice third = create("third");
        deferToClose(third);
        create("fourth");
        while (registry.byName("third") != null || registry.isRemoving()) {
            Thread.onSpinWait();
        }
        assertSame(reopened, registry.byName("reopened"));
        assertSame(wanted, registry.byName("wanted"));
    }
}
