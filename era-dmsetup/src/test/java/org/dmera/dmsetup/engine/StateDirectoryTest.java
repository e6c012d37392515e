// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceRecord;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A state folder on which calls fail: what is remembered after a device was taken away, which could be neither made durable nor undone. */
class StateDirectoryTest {
    @TempDir
    Path folder;

    private FailingFiles files;
    private StateDirectory state;
    private DeviceRegistry registry;

    /** A disk that fails, for a while. */
    private static final class FailingFiles extends StateFiles {
        private boolean syncFails;
        private boolean isFull;
        private int synced;

        FailingFiles(Path folder) throws IOException {
            super(folder);
        }

        @Override
        int create(String name) throws IOException {
            failIf(isFull, Errno.ENOSPC);
            return super.create(name);
        }

        @Override
        void syncFolder() throws IOException {
            failIf(syncFails, Errno.EIO);
            super.syncFolder();
            synced++;
        }

        private static void failIf(boolean fails, Errno why) throws ErrnoException {
            if (fails) {
                throw new ErrnoException("a test", why);
            }
        }
    }

    @BeforeEach
    void start() throws IOException {
        files = new FailingFiles(folder);
        state = StateDirectory.open(folder, files);
        registry = new DeviceRegistry(List.of(), null, Runnable::run, state, EngineLog.silent());
    }

    private MappedDevice createdAndNotRemoved(String name) throws IOException {
        MappedDevice device = registry.create(name, "", OptionalInt.empty());
        files.syncFails = true;
        files.isFull = true;
        assertThrows(ErrnoException.class, () -> registry.remove(device, false));
        files.syncFails = false;
        files.isFull = false;
        return device;
    }

    /** As a restart finds them. */
    private List<String> names() throws IOException {
        state.close();
        try (StateDirectory next = StateDirectory.open(folder)) {
            return next.load(EngineLog.silent()).devices().stream()
                    .map(DeviceRecord::name)
                    .toList();
        }
    }

    @Test
    void aDeviceThatCouldNotBeRemovedIsRememberedAgainByItsNextChange() throws IOException {
        createdAndNotRemoved("old").setAttached(false);
        assertEquals(List.of("old"), names());
    }

    @Test
    void theNextTryMakesDurableWhatTheFirstTookAway() throws IOException {
        MappedDevice device = createdAndNotRemoved("old");
        int synced = files.synced;
        registry.remove(device, false);
        assertEquals(synced + 1, files.synced);
        assertEquals(List.of(), names());
    }

    @Test
    void noOtherDeviceOfItsNumberHasItComeBack() throws IOException {
        registry.remove(createdAndNotRemoved("old"), false);
        files.syncFails = true;
        assertThrows(ErrnoException.class, () -> registry.create("new", "", OptionalInt.of(0)));
        files.syncFails = false;
        assertEquals(List.of(), names());
    }

    @Test
    void aFolderThatTakesNoLockIsNamed() throws IOException {
        StateFiles full = new StateFiles(folder) {
            @Override
            Path path(String name) {
                return Path.of("/dev/full");
            }
        };
        IOException refusal = assertThrows(IOException.class, () -> StateDirectory.open(folder, full));
        assertTrue(refusal.getMessage().startsWith("state folder " + folder + ": "), refusal::getMessage);
    }
}
