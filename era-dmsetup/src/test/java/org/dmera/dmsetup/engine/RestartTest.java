// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.dmera.core.file.Folders;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What comes back after a restart of the engine, and what may not hold it up. */
@Timeout(600)
class RestartTest {
    private static final int SECTORS = 65_536;

    @TempDir
    Path folder;

    private final ByteArrayOutputStream logged = new ByteArrayOutputStream();

    private TestEngine start() throws IOException {
        return new TestEngine(
                folder,
                new EngineLog(
                        new PrintStream(logged, true, StandardCharsets.UTF_8),
                        EngineLog.Level.INFO,
                        EngineLog.Form.PLAIN));
    }

    private String log() {
        return logged.toString(StandardCharsets.UTF_8);
    }

    /** One that comes back soon, though not at once on a busy machine. */
    private static MappedDevice back(TestEngine engine, String name) {
        MappedDevice device = engine.registry().byName(name);
        engine.registry().awaitBack(device);
        return device;
    }

    private static TargetSpec linear(String below) {
        return new TargetSpec(0, SECTORS, "linear", "engine:" + below + " 0");
    }

    @Test
    void aDeviceWhoseMetadataDoesNotAnswerHoldsUpNoOtherAndComesBackWhenItDoes() throws Exception {
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            TestEngine.create(client, "beneath", new TargetSpec(0, 8192, "linear", engine.file("meta", 8192) + " 0"));
            TestEngine.create(
                    client,
                    "hung",
                    new TargetSpec(0, SECTORS, "era", "engine:beneath " + engine.file("data", SECTORS) + " 8"));
            TestEngine.create(client, "top", linear("hung"));
            engine.createEra(client, "well", SECTORS, 8);
            // It is remembered as suspended; whoever reads from it after the restart waits for its resume.
            TestEngine.suspend(client, "beneath");
        }
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            MappedDevice hung = engine.registry().byName("hung");
            assertFalse(hung.hasLive());
            assertTrue(log().contains("hung (120:1) is not back yet"), this::log);
            assertTrue(back(engine, "well").hasLive());
            engine.registry().byName("well").io().write(0, ByteBuffer.allocate(4096), 0);

            back(engine, "beneath");
            TestEngine.resume(client, "beneath");
            MappedDevice top = engine.registry().byName("top");
            while (!top.hasLive() || top.isSuspended()) {
                Thread.onSpinWait();
            }
            assertTrue(hung.hasLive());
            top.io().write(0, ByteBuffer.allocate(4096), 0);
        }
    }

    @Test
    void whoAsksForADeviceThatIsOnItsWayGetsItWhenItIsBack() throws Exception {
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            TestEngine.create(client, "beneath", new TargetSpec(0, 8192, "linear", engine.file("meta", 8192) + " 0"));
            TestEngine.create(
                    client,
                    "hung",
                    new TargetSpec(0, SECTORS, "era", "engine:beneath " + engine.file("data", SECTORS) + " 8"));
            TestEngine.create(client, "top", linear("hung"));
            TestEngine.suspend(client, "beneath");
        }
        try (TestEngine engine = start();
                DmClient client = engine.client();
                DmClient another = engine.client()) {
            RegistryExports exports = new RegistryExports(engine.registry());
            assertEquals(List.of("beneath", "hung", "top"), exports.names());
            assertFalse(engine.registry().byName("hung").hasLive());
            ExecutorService askers = Executors.newFixedThreadPool(3);
            try {
                Future<?> hung = askers.submit(() -> exports.open("hung"));
                back(engine, "beneath");
                // On top of it, and so not even begun.
                Future<?> top = askers.submit(() -> exports.open("top"));
                Future<String> era =
                        askers.submit(() -> another.message(DeviceId.ofName("hung"), 0, "take_metadata_snap"));
                TestEngine.resume(client, "beneath");
                era.get();
                hung.get();
                top.get();
            } finally {
                askers.shutdownNow();
            }
            assertEquals(1, engine.registry().byName("top").openCount());
            ErrnoException none = assertThrows(ErrnoException.class, () -> exports.open("nobody"));
            assertTrue(none.is(Errno.ENXIO), none.toString());
        }
    }

    @Test
    void anEngineStopsThoughADeviceIsNotBackYet() throws Exception {
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            TestEngine.create(client, "beneath", new TargetSpec(0, 8192, "linear", engine.file("meta", 8192) + " 0"));
            TestEngine.create(
                    client,
                    "hung",
                    new TargetSpec(0, SECTORS, "era", "engine:beneath " + engine.file("data", SECTORS) + " 8"));
            TestEngine.suspend(client, "beneath");
        }
        start().close();
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            back(engine, "beneath");
            TestEngine.resume(client, "beneath");
            MappedDevice hung = engine.registry().byName("hung");
            while (!hung.hasLive() || hung.isSuspended()) {
                Thread.onSpinWait();
            }
        }
    }

    @Test
    void aRemovalDeferredToTheLastCloseIsNotDoneBecauseTheEngineStops() throws Exception {
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            engine.createEra(client, "lower", SECTORS, 8);
            TestEngine.create(client, "upper", linear("lower"));
            assertFalse(engine.registry().remove(engine.registry().byName("lower"), true));
        }
        try (TestEngine engine = start()) {
            assertTrue(back(engine, "lower").hasLive());
            assertTrue(back(engine, "upper").hasLive());
        }
    }

    /** Whether it is wanted nobody knows then; who uses it waits. */
    @Test
    void aNodeOfADeviceThatCanNotBeReadStays() throws Exception {
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            engine.createEra(client, "vol", SECTORS, 8);
        }
        Path record = Files.writeString(folder.resolve("state/0.device"), "nonsense");
        Path notes = Files.createDirectory(folder.resolve("run/control.attached"), Folders.PRIVATE);
        Files.writeString(notes.resolve("ublk-999999"), "0123456789abcdef started 0 some-id\n");
        Path link = Files.writeString(notes.resolve("link-0"), "/dev/mapper/none\n/dev/ublkb999999\n");
        start().close();
        assertTrue(Files.exists(link), this::log);
        Files.delete(record);
        start().close();
        assertFalse(Files.exists(link), this::log);
    }

    @Test
    void aDeviceStaysWhoseRemovalIsDeferredWhileOneOnTopOfItCouldNotBeBroughtBack() throws Exception {
        Path beside = folder.resolve("beside");
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            engine.createEra(client, "lower", SECTORS, 8);
            TestEngine.makeFile(beside, SECTORS);
            TestEngine.create(
                    client,
                    "upper",
                    new TargetSpec(0, SECTORS, "linear", "engine:lower 0"),
                    new TargetSpec(SECTORS, SECTORS, "linear", beside + " 0"));
            assertFalse(engine.registry().remove(engine.registry().byName("lower"), true));
        }
        Path away = Files.move(beside, folder.resolve("away"));
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            MappedDevice lower = back(engine, "lower");
            MappedDevice upper = back(engine, "upper");
            assertFalse(upper.hasLive());
            // Opens the lower one, misses the file, and closes what it has opened.
            assertThrows(IOException.class, () -> TestEngine.resume(client, "upper"));
            lower.open();
            lower.close();
            engine.registry().beginStop();
            assertEquals(lower, engine.registry().byName("lower"));
            Files.move(away, beside);
            TestEngine.resume(client, "upper");
            assertTrue(upper.hasLive());
        }
        Files.move(beside, away);
        try (TestEngine engine = start();
                DmClient client = engine.client()) {
            back(engine, "upper");
            TestEngine.remove(client, "upper");
            // Nobody waits for it any more.
            while (engine.registry().byName("lower") != null) {
                Thread.onSpinWait();
            }
        }
    }
}
