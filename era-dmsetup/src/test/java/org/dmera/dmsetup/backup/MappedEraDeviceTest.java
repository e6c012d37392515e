// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.cli.DmSetup;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.engine.TestEngine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** A backup's device is the one that it began with, and is believed to rest only where that is known. */
class MappedEraDeviceTest {
    @TempDir
    Path sys;

    private void write(String file, String text) throws IOException {
        Files.createDirectories(sys.resolve("queue"));
        Files.writeString(sys.resolve(file), text);
    }

    private void dmsetup(String... words) {
        List<String> all = new ArrayList<>(List.of("--control", control()));
        all.addAll(List.of(words));
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
        assertEquals(0, new DmSetup(InputStream.nullInputStream(), nowhere, System.err).run("era-dmsetup", all));
    }

    private String control() {
        return sys.resolve("run/control").toString();
    }

    private void create(String name) throws IOException {
        for (String file : List.of("meta", "data")) {
            try (RandomAccessFile f =
                    new RandomAccessFile(sys.resolve(name + file).toFile(), "rw")) {
                f.setLength(1 << 20);
            }
        }
        dmsetup(
                "create",
                name,
                "--table",
                "0 2048 era " + sys.resolve(name + "meta") + " " + sys.resolve(name + "data") + " 8");
    }

    private MappedEraDevice open(String name) throws IOException {
        return MappedEraDevice.open(DmClient.open(control(), line -> {}), name, null, null, false);
    }

    @Test
    void aDeviceThatIsRenamedMeanwhileIsTheSameAndWhoTakesItsNameIsAnother() throws IOException {
        try (TestEngine engine = new TestEngine(sys)) {
            assertNotNull(engine);
            create("vol");
            create("other");
            try (MappedEraDevice vol = open("vol");
                    MappedEraDevice other = open("other")) {
                other.takeSnapshot();
                vol.takeSnapshot();
                long held = vol.snapshotBlock();
                dmsetup("rename", "vol", "old");
                dmsetup("rename", "other", "vol");

                assertEquals(held, vol.snapshotBlock());
                vol.dropSnapshot();
                assertEquals(-1, vol.snapshotBlock());
                assertTrue(other.snapshotBlock() >= 0, "that of the device which has the name now stays held");
                assertEquals("vol", vol.name(), "what its streams are called after");
            }
        }
    }

    @Test
    void aDeviceThatIsSuspendedForAMomentIsWaitedFor() throws Exception {
        try (TestEngine engine = new TestEngine(sys)) {
            assertNotNull(engine);
            create("vol");
            try (MappedEraDevice vol = open("vol")) {
                vol.takeSnapshot();
                dmsetup("suspend", "vol");
                CompletableFuture<Void> dropped = new CompletableFuture<>();
                Thread dropping = new Thread(() -> {
                    try {
                        vol.dropSnapshot();
                        dropped.complete(null);
                    } catch (IOException e) {
                        dropped.completeExceptionally(e);
                    }
                });
                dropping.start();
                while (dropping.getState() != Thread.State.TIMED_WAITING && !dropped.isDone()) {
                    Thread.onSpinWait();
                }
                dmsetup("resume", "vol");
                dropped.get(60, TimeUnit.SECONDS);
                assertEquals(-1, vol.snapshotBlock());
            }
        }
    }

    @Test
    void aDeviceThatGotTheNumberOfOneThatWasRemovedIsAnother() throws IOException {
        try (TestEngine engine = new TestEngine(sys)) {
            assertNotNull(engine);
            create("vol");
            try (MappedEraDevice vol = open("vol")) {
                dmsetup("remove", "vol");
                create("other");
                try (MappedEraDevice other = open("other")) {
                    assertEquals(vol.id().minor(), other.id().minor(), "the number was given out again");
                    other.takeSnapshot();
                    for (Executable call : List.<Executable>of(
                            vol::dropSnapshot, vol::takeSnapshot, vol::checkpoint, vol::snapshotBlock)) {
                        IOException e = assertThrows(IOException.class, call);
                        assertTrue(e.getMessage().contains("vol is not there any more"), e.getMessage());
                    }
                    assertTrue(other.snapshotBlock() >= 0);
                }
            }
        }
    }

    @Test
    void aCountOfNoWritesIsBelievedUnlessStatisticsAreOff() throws IOException {
        assertFalse(MappedEraDevice.isQuietOnce(sys), "nothing is counted");
        write("inflight", "       3        0\n");
        assertTrue(MappedEraDevice.isQuietOnce(sys), "reads don't matter");
        write("queue/iostats", "1\n");
        assertTrue(MappedEraDevice.isQuietOnce(sys));
        write("queue/iostats", "0\n");
        assertFalse(MappedEraDevice.isQuietOnce(sys), "the kernel doesn't look");
    }
}
