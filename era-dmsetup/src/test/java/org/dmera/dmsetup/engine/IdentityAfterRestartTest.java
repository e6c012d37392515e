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
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.OptionalInt;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** After a restart a table is on what its words led to when it was loaded, whatever they lead to now. */
@Timeout(600)
class IdentityAfterRestartTest {
    private static final int SECTORS = 256;

    @TempDir
    Path folder;

    private final ByteArrayOutputStream logged = new ByteArrayOutputStream();

    private TestEngine start() throws IOException {
        return new TestEngine(
                        folder,
                        new EngineLog(
                                new PrintStream(logged, true, StandardCharsets.UTF_8),
                                EngineLog.Level.INFO,
                                EngineLog.Form.PLAIN))
                .allBack();
    }

    private String log() {
        return logged.toString(StandardCharsets.UTF_8);
    }

    private static MappedDevice create(DeviceRegistry registry, String name, String params) throws IOException {
        MappedDevice device = registry.create(name, "", OptionalInt.empty());
        device.load(linear(params), false);
        device.resume();
        return device;
    }

    private static List<TargetSpec> linear(String params) {
        return List.of(new TargetSpec(0, SECTORS, "linear", params + " 0"));
    }

    /** A file that is filled with a letter. */
    private Path file(String name, char letter) throws IOException {
        return Files.writeString(folder.resolve(name), String.valueOf(letter).repeat(SECTORS * 512));
    }

    private static char first(MappedDevice device) throws IOException {
        ByteBuffer sector = ByteBuffer.allocate(512);
        device.io().read(0, sector);
        return (char) sector.get(0);
    }

    @Test
    void aStackedDeviceStaysOnItsDeviceThoughThatWasRenamedAndAnotherHasTheName() throws Exception {
        try (TestEngine engine = start()) {
            DeviceRegistry registry = engine.registry();
            MappedDevice base = create(registry, "base", file("one", '1').toString());
            create(registry, "byname", "engine:base");
            create(registry, "bynode", "/dev/mapper/base");
            create(registry, "bynumber", "120:0");
            registry.rename(base, "", "old");
            create(registry, "base", file("two", '2').toString());
        }
        for (int restart = 0; restart < 2; restart++) {
            try (TestEngine engine = start()) {
                for (String name : List.of("old", "byname", "bynode", "bynumber")) {
                    assertEquals('1', first(engine.registry().byName(name)), name);
                }
                assertEquals('2', first(engine.registry().byName("base")));
                assertEquals(3, engine.registry().byName("old").openCount());
            }
        }
    }

    @Test
    void aNewDeviceOfTheNumberAndNameOfOneThatIsGoneIsNotTakenForIt() throws Exception {
        try (TestEngine engine = start()) {
            create(engine.registry(), "base", file("one", '1').toString());
            create(engine.registry(), "top", "engine:base");
        }
        Files.delete(folder.resolve("state/0.device"));
        try (TestEngine engine = start()) {
            DeviceRegistry registry = engine.registry();
            assertFalse(registry.byName("top").hasLive());
            assertEquals(
                    0, create(registry, "base", file("two", '2').toString()).minor());
            assertThrows(ErrnoException.class, registry.byName("top")::resume);
        }
        try (TestEngine engine = start()) {
            assertFalse(engine.registry().byName("top").hasLive());
            assertTrue(log().contains("engine:base was mapped:120:0:"), this::log);
        }
    }

    @Test
    void aFileThatIsAnotherOneNowIsRefusedByNameAndItsTableStaysRememberedUntilItIsBack() throws Exception {
        Path data = file("data", '1');
        Path kept = folder.resolve("kept");
        try (TestEngine engine = start()) {
            create(engine.registry(), "vol", data.toString());
            engine.registry().byName("vol").load(linear(file("other", 'o').toString()), false);
        }
        Files.move(data, kept);
        Files.move(file("fresh", '2'), data);
        try (TestEngine engine = start()) {
            MappedDevice vol = engine.registry().byName("vol");
            assertFalse(vol.hasLive());
            assertTrue(log().contains(data + " is another than the one that the table was loaded on"), this::log);
            // None of these drops what is remembered.
            vol.clear();
            assertThrows(ErrnoException.class, vol::resume);
            vol.suspend();
            assertThrows(ErrnoException.class, vol::resume);
            engine.registry().rename(vol, "", "renamed");
            engine.registry().setUuid(vol, "", "u");
        }
        Files.move(kept, data, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        try (TestEngine engine = start()) {
            MappedDevice vol = engine.registry().byName("renamed");
            assertTrue(vol.isSuspended());
            vol.resume();
            assertEquals('1', first(vol));
            assertFalse(vol.hasInactive());
        }
    }

    @Test
    void aTableThatCameNotBackIsReplacedForGoodByAnotherThatIsLoadedAndResumed() throws Exception {
        Path data = file("data", '1');
        Path kept = folder.resolve("kept");
        try (TestEngine engine = start()) {
            create(engine.registry(), "vol", data.toString());
        }
        Files.move(data, kept);
        try (TestEngine engine = start()) {
            MappedDevice vol = engine.registry().byName("vol");
            assertFalse(vol.hasLive());
            vol.load(linear(file("other", '2').toString()), false);
            vol.resume();
            assertEquals('2', first(vol));
        }
        // Whether the first one's file is still away, or is back.
        for (int restart = 0; restart < 2; restart++) {
            try (TestEngine engine = start()) {
                MappedDevice vol = engine.registry().byName("vol");
                assertFalse(vol.isSuspended());
                assertEquals('2', first(vol));
                assertFalse(vol.hasInactive());
            }
            if (restart == 0) {
                Files.move(kept, data);
            }
        }
    }

    @Test
    void aResumeBringsBackATableWhoseFileHasCome() throws Exception {
        Path data = file("data", '1');
        Path kept = folder.resolve("kept");
        try (TestEngine engine = start()) {
            create(engine.registry(), "vol", data.toString());
        }
        Files.move(data, kept);
        try (TestEngine engine = start()) {
            MappedDevice vol = engine.registry().byName("vol");
            assertFalse(vol.hasLive());
            Files.move(kept, data);
            assertTrue(vol.resume());
            assertEquals('1', first(vol));
        }
    }

    @Test
    void aLinkThatLeadsElsewhereNowIsRefusedAndOneThatLeadsToTheSameFileIsNot() throws Exception {
        Path link = Files.createSymbolicLink(folder.resolve("link"), file("one", '1'));
        try (TestEngine engine = start()) {
            create(engine.registry(), "vol", link.toString());
        }
        Files.delete(link);
        Files.createSymbolicLink(link, file("two", '2'));
        try (TestEngine engine = start()) {
            assertFalse(engine.registry().byName("vol").hasLive());
        }
        Files.delete(link);
        Files.createSymbolicLink(link, Path.of("one"));
        try (TestEngine engine = start()) {
            assertEquals('1', first(engine.registry().byName("vol")));
        }
    }

    @Test
    void aDeferredRemovalIsRememberedAndComesWithTheNextLastClose() throws Exception {
        try (TestEngine engine = start()) {
            MappedDevice base =
                    create(engine.registry(), "base", file("one", '1').toString());
            create(engine.registry(), "top", "engine:base");
            assertFalse(engine.registry().remove(base, true));
        }
        try (TestEngine engine = start()) {
            DeviceRegistry registry = engine.registry();
            assertTrue(registry.byName("base").isDeferredRemove());
            registry.remove(registry.byName("top"), false);
            while (registry.byName("base") != null || registry.isRemoving()) {
                Thread.onSpinWait();
            }
        }
        try (TestEngine engine = start()) {
            assertTrue(engine.registry().devices().isEmpty());
        }
    }
}
