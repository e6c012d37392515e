// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Removals that come with the last close, when there is no thread for them just then. */
@Timeout(300)
class DeferredRemovalTest {
    private final AtomicInteger uncaught = new AtomicInteger();
    /** Tasks that were given to {@link #registry}'s threads. */
    private final AtomicInteger ended = new AtomicInteger();

    private final AtomicBoolean exhausted = new AtomicBoolean();
    private final DeviceRegistry registry = new DeviceRegistry(
            TargetRegistry.simple(),
            (device, readOnly, found) -> name -> null,
            task -> {
                if (exhausted.get()) {
                    throw new OutOfMemoryError("unable to create native thread");
                }
                Thread thread = new Thread(() -> {
                    try {
                        task.run();
                    } finally {
                        ended.getAndIncrement();
                    }
                });
                thread.setUncaughtExceptionHandler((self, why) -> uncaught.getAndIncrement());
                thread.start();
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

    @Test
    void aRemovalThatMetAnErrorWhileItWaitedForUsersOfTheNodeCanBeAskedForAgain() throws Exception {
        AtomicReference<Supplier<Integer>> opens = new AtomicReference<>(() -> 1);
        registry.addListener(new DeviceListener() {
            @Override
            public int opens(MappedDevice device) {
                return opens.get().get();
            }

            @Override
            public void removing(MappedDevice device) throws IOException {
                if (opens.get().get() > 0) {
                    throw new ErrnoException("in use", Errno.EBUSY.number());
                }
            }
        });
        MappedDevice device = create("vol");
        CountDownLatch failed = new CountDownLatch(1);
        assertFalse(registry.remove(device, true));
        opens.set(() -> {
            failed.countDown();
            throw new IllegalStateException("for the test");
        });
        assertTrue(failed.await(20, TimeUnit.SECONDS));
        opens.set(() -> 1);
        while (uncaught.get() == 0) {
            Thread.onSpinWait();
        }
        assertFalse(registry.remove(device, true));
        opens.set(() -> 0);
        while (registry.byName("vol") != null || registry.isRemoving()) {
            Thread.onSpinWait();
        }
    }

    private interface Step {
        void with(MappedDevice device) throws IOException;
    }

    /** Closes a device whose removal was deferred to that, and has that cancelled when the removal comes so far. */
    private MappedDevice closeAndCancel(Step before, Step removing) throws IOException {
        AtomicBoolean armed = new AtomicBoolean();
        registry.addListener(new DeviceListener() {
            @Override
            public void beforeRemoval(MappedDevice device) throws IOException {
                if (armed.get()) {
                    before.with(device);
                }
            }

            @Override
            public void removing(MappedDevice device) throws IOException {
                if (armed.get()) {
                    removing.with(device);
                }
            }
        });
        MappedDevice device = create("vol");
        device.open();
        assertFalse(registry.remove(device, true));
        armed.set(true);
        device.close();
        while (ended.get() == 0) {
            Thread.onSpinWait();
        }
        assertFalse(device.isDeferredRemove());
        assertSame(device, registry.byName("vol"));
        return device;
    }

    @Test
    void aRemovalThatIsCancelledWhileItBeginsIsNone() throws Exception {
        MappedDevice device = closeAndCancel(registry::cancelDeferredRemove, unused -> {});
        device.open();
        device.close();
        assertSame(device, registry.byName("vol"));
    }

    @Test
    void aRemovalThatIsCancelledWhileSomebodyHasTheDeviceInUseIsNotDeferredAgain() throws Exception {
        closeAndCancel(unused -> {}, device -> {
            registry.cancelDeferredRemove(device);
            throw new ErrnoException("in use", Errno.EBUSY.number());
        });
    }

    @Test
    void aRemovalThatCouldNotBeRememberedIsTriedAgainByItself() throws Exception {
        AtomicInteger tries = new AtomicInteger();
        DeviceStore fullTwice = new DeviceStore() {
            @Override
            public void save(DeviceRecord record) {}

            @Override
            public void delete(int minor) throws IOException {
                if (minor == 0 && tries.getAndIncrement() < 2) {
                    throw new ErrnoException("unlink", Errno.ENOSPC);
                }
            }
        };
        DeviceRegistry devices = new DeviceRegistry(
                TargetRegistry.simple(),
                (device, readOnly, found) -> name -> null,
                task -> new Thread(task).start(),
                fullTwice,
                EngineLog.silent());
        MappedDevice device = devices.create("vol", "", OptionalInt.of(0));
        device.open();
        assertFalse(devices.remove(device, true));
        device.close();
        while (devices.byName("vol") != null) {
            Thread.onSpinWait();
        }
        assertEquals(3, tries.get());
    }
}
