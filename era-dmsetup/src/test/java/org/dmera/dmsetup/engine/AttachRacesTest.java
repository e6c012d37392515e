// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.HostAttacher;
import org.dmera.dmsetup.export.Served;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Nodes that are asked for, and taken away, at the same moment. */
@Timeout(600)
@Alone
class AttachRacesTest {
    private static final int ROUNDS = 12;
    private static final int WARM_UPS = 10;
    private static final int CLOSES = Boolean.getBoolean("era.nightly") ? 500 : 80;

    @TempDir
    Path folder;

    private final String name = "era-race-" + ProcessHandle.current().pid();

    private DmCall remove() {
        return DmCall.of("remove", DmCommand.DEV_REMOVE, DeviceId.ofName(name));
    }

    /** The node; null when the device was gone before, or is going. */
    private String attach(DmClient client) throws IOException {
        try {
            return client.message(DeviceId.ofName(name), 0, "@attach");
        } catch (DmException e) {
            assertTrue(e.is(Errno.ENXIO), e.toString());
            return null;
        }
    }

    /** As {@code remove --retry} does it: an attach that is under way has it open. */
    private Void removeRetrying(DmClient client) throws IOException {
        while (true) {
            try {
                remove().run(client.control());
                return null;
            } catch (DmException e) {
                assertTrue(e.is(Errno.EBUSY), e.toString());
            }
        }
    }

    private static void requireNodes() {
        assumeTrue(
                "root".equals(System.getProperty("user.name"))
                        && Files.exists(Path.of("/dev/fuse"))
                        && Files.exists(Path.of("/dev/loop-control")),
                "attaching needs root, /dev/fuse and /dev/loop-control");
    }

    @Test
    void aDeviceThatIsAttachedWhileItIsRemovedLeavesNoNode() throws Exception {
        requireNodes();
        ExecutorService threads = Executors.newFixedThreadPool(3);
        try (TestEngine engine = new TestEngine(folder);
                DmClient one = engine.client();
                DmClient two = engine.client();
                DmClient three = engine.client()) {
            TargetSpec table = new TargetSpec(0, 8192, "linear", engine.file("data", 8192) + " 0");
            for (int round = 0; round < ROUNDS; round++) {
                TestEngine.create(one, name, table);
                if (round % 2 == 0) {
                    attach(one);
                }
                Future<String> attached = threads.submit(() -> attach(two));
                Future<String> again = threads.submit(() -> attach(three));
                removeRetrying(one);
                attached.get();
                again.get();
                assertEquals(List.of(), engine.registry().devices());
                assertFalse(Files.exists(Path.of("/dev/mapper", name), LinkOption.NOFOLLOW_LINKS), "round " + round);
                assertFalse(Files.exists(Path.of("/dev/era", name), LinkOption.NOFOLLOW_LINKS), "round " + round);
                try (var left = Files.list(folder.resolve("run/control.attached"))) {
                    assertEquals(List.of(), left.toList(), "round " + round);
                }
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void aDeviceThatIsAttachedWhileTheEngineStopsLeavesNoNode() throws Exception {
        requireNodes();
        Path mounts = Files.createDirectories(folder.resolve("mounts"));
        ExecutorService threads = Executors.newSingleThreadExecutor();
        try (TestEngine engine = new TestEngine(folder);
                DmClient client = engine.client()) {
            TestEngine.create(client, name, new TargetSpec(0, 8192, "linear", engine.file("data", 8192) + " 0"));
            MappedDevice device = engine.registry().byName(name);
            long took = 0;
            for (int round = 0; round <= CLOSES; round++) {
                HostAttacher attacher = new HostAttacher(
                        mounts, engine.folder.resolve("nbd"), name -> name, new Served(), EngineLog.silent());
                long began = System.nanoTime();
                Future<String> attached = threads.submit(() -> attacher.attach(device));
                if (round < WARM_UPS) {
                    attached.get();
                    took = System.nanoTime() - began;
                }
                // Nearer and nearer to the end of what one took.
                LockSupport.parkNanos(took * round / CLOSES);
                attacher.close();
                try {
                    attached.get();
                } catch (ExecutionException e) {
                    assertTrue(e.getCause() instanceof ErrnoException, e.toString());
                }
                for (String links : new String[] {"/dev/mapper", "/dev/era"}) {
                    assertFalse(Files.exists(Path.of(links, name), LinkOption.NOFOLLOW_LINKS), "round " + round);
                }
                try (var left = Files.list(mounts)) {
                    assertEquals(List.of(), left.toList(), "round " + round);
                }
            }
        } finally {
            threads.shutdownNow();
        }
    }
}
