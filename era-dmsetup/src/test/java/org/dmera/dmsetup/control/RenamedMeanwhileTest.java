// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.device.DeviceListener;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.targets.TargetRegistry;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A device gets another name between the moment in which a call has found it and the one in which it is changed. */
@Timeout(60)
class RenamedMeanwhileTest {
    /** What comes before the store has a device of a name. */
    private volatile Runnable beforeSave = () -> {};

    private final DeviceRegistry registry = new DeviceRegistry(
            TargetRegistry.simple(),
            (device, readOnly, found) -> name -> null,
            task -> new Thread(task).start(),
            new DeviceStore() {
                @Override
                public void save(DeviceRecord record) {
                    beforeSave.run();
                }

                @Override
                public void delete(int minor) {}
            },
            EngineLog.silent());
    private final Control control = new EngineControl(registry, Map.of());
    private MappedDevice vol;

    @BeforeEach
    void create() throws IOException {
        vol = registry.create("vol", "", OptionalInt.empty());
    }

    private void rename(String name, String to) throws IOException {
        DmCall.of("rename", DmCommand.DEV_RENAME, DeviceId.ofName(name))
                .text(to)
                .run(control);
    }

    @Test
    void aRemovalLeavesTheDeviceThatIsCalledOtherwise() throws Exception {
        registry.addListener(new DeviceListener() {
            @Override
            public void beforeRemoval(MappedDevice device) throws IOException {
                rename("vol", "kept");
                registry.create("vol", "", OptionalInt.empty());
            }
        });
        DmCall removal = DmCall.of("remove", DmCommand.DEV_REMOVE, DeviceId.ofName("vol"));
        assertTrue(assertThrows(DmException.class, () -> removal.run(control)).is(Errno.ENXIO));
        assertSame(vol, registry.byName("kept"));
        assertEquals(
                List.of("kept", "vol"),
                registry.devices().stream().map(MappedDevice::name).toList());
    }

    @Test
    void ofTwoWhoRenameOneDeviceTheSecondFindsNone() throws Exception {
        CompletableFuture<Void> second = new CompletableFuture<>();
        Thread other = new Thread(() -> {
            try {
                rename("vol", "second");
                second.complete(null);
            } catch (IOException e) {
                second.completeExceptionally(e);
            }
        });
        beforeSave = () -> {
            beforeSave = () -> {};
            other.start();
            // It has found the device, and waits for this change of it.
            while (other.getState() != Thread.State.BLOCKED) {
                Thread.onSpinWait();
            }
        };
        rename("vol", "first");
        Exception failed = assertThrows(Exception.class, () -> second.get(50, TimeUnit.SECONDS));
        assertTrue(((DmException) failed.getCause()).is(Errno.ENXIO), failed.toString());
        assertEquals("first", vol.name());
    }
}
