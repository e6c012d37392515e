// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Views as other programs have them: by NBD, while their device is overwritten; and when the engine is killed. */
@Timeout(300)
class FrozenViewClientsTest {
    private static final int MIB = 32;
    private static final int BLOCK = TestEngine.BLOCK_BYTES;

    @TempDir
    private Path folder;

    private static void overwrite(Path socket, String export, long seed, int writes) throws IOException {
        Random random = new Random(seed);
        byte[] data = new byte[BLOCK];
        try (WireClient client = WireClient.open(socket, export)) {
            for (int i = 0; i < writes; i++) {
                random.nextBytes(data);
                assertEquals(0, client.write((long) random.nextInt((MIB << 20) / BLOCK) * BLOCK, data));
            }
        }
    }

    private static DmClient.View freeze(DmClient control, Path cow) throws IOException {
        return control.freeze(List.of(DeviceId.ofName("vol")), cow, true, List.of())
                .get(0);
    }

    @Test
    void nbdcopyAndQemuReadTheMomentWhileTheDeviceIsOverwritten() throws Exception {
        Host.need("nbdcopy", "nbdinfo", "qemu-img");
        Path socket = folder.resolve("nbd");
        try (TestEngine engine = new TestEngine(folder);
                DmClient control = DmClient.open(folder.resolve("control").toString(), line -> {})) {
            MappedDevice device = engine.createEra("vol", MIB);
            byte[] bytes = new byte[(MIB / 2) << 20];
            new Random(1).nextBytes(bytes);
            device.io().write(4 << 20, ByteBuffer.wrap(bytes), 0);
            freeze(control, folder);
            overwrite(socket, "vol", 2, 100);
            DmClient.View view = freeze(control, folder);
            ByteBuffer then = ByteBuffer.allocate(MIB << 20);
            device.io().read(0, then);
            Path expected = Files.write(folder.resolve("then.img"), then.array());
            String uri = control.message(DeviceId.ofName(view.name()), 0, "@uri");
            Thread writer = new Thread(() -> {
                try {
                    overwrite(socket, "vol", 3, 1500);
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            writer.start();
            Host.run(folder, "nbdcopy", uri, "copied.img").good();
            Host.run(folder, "qemu-img", "compare", "-f", "raw", "-F", "raw", expected.toString(), uri)
                    .good();
            writer.join();
            Host.run(folder, "qemu-img", "compare", "-f", "raw", "-F", "raw", expected.toString(), uri)
                    .good();
            assertArrayEquals(then.array(), Files.readAllBytes(folder.resolve("copied.img")));

            JsonNode info = Host.run(folder, "nbdinfo", "--json", uri)
                    .json()
                    .get("exports")
                    .get(0);
            assertTrue(info.get("is_read_only").asBoolean());
            assertEquals(
                    "[\"base:allocation\",\"qemu:dirty-bitmap:era-since-1\",\"qemu:dirty-bitmap:era-since-2\",\"era:writes\"]",
                    info.get("contexts").toString());
            // Written since the first view, by the end of the second: what the writer did after that is in neither.
            long dirty = 0;
            for (JsonNode run : Host.run(folder, "nbdinfo", "--json", "--map=qemu:dirty-bitmap:era-since-2", uri)
                    .json()) {
                dirty += run.get("type").asInt() != 0 ? run.get("length").asLong() : 0;
            }
            assertTrue(dirty > 90L * BLOCK && dirty <= 100L * BLOCK, dirty + " bytes");
            assertTrue(
                    Host.run(folder, "nbdinfo", "--map=qemu:dirty-bitmap:era-since-3", uri)
                                    .exitCode()
                            != 0,
                    "an era that began with the view has nothing in it");
        }
    }

    @Test
    void aKilledEngineLeavesNothingOfItsViews() throws Exception {
        Path cow = Files.createDirectory(folder.resolve("cow"));
        try (TestEngine engine = new TestEngine(folder)) {
            engine.createEra("vol", MIB);
        }
        for (int round = 0; round < 2; round++) {
            CrashedEngine engine = new CrashedEngine(folder);
            try (DmClient control = DmClient.open(folder.resolve("control").toString(), line -> {})) {
                assertEquals(1, control.list().size(), "a view is back");
                DmClient.View view = freeze(control, cow);
                overwrite(folder.resolve("nbd"), "vol", round, 50);
                assertEquals(2, control.list().size());
                assertTrue(control.exists(DeviceId.ofName(view.name())));
            }
            engine.kill();
            try (Stream<Path> files = Files.list(cow)) {
                assertEquals(0, files.count());
            }
        }
        try (TestEngine engine = new TestEngine(folder)) {
            assertEquals(
                    List.of("vol"),
                    engine.engine.registry().devices().stream()
                            .map(MappedDevice::name)
                            .toList());
        }
    }
}
