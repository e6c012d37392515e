// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.device.MappedDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The clients that people use, as they use them: libnbd's, qemu's, and fio. */
class NbdClientsTest {
    private static final int MIB = 64;

    @TempDir
    private Path folder;

    private TestEngine engine;
    private MappedDevice device;

    @BeforeEach
    void start() throws IOException {
        Host.need("nbdinfo", "nbdcopy", "nbdsh", "qemu-img", "qemu-io", "fio");
        engine = new TestEngine(folder);
        device = engine.createEra("vol", MIB);
    }

    @AfterEach
    void stop() throws IOException {
        if (engine != null) {
            engine.close();
        }
    }

    private Host.Result run(String... command) throws IOException, InterruptedException {
        return Host.run(folder, command);
    }

    private void write(long block, int blocks) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(blocks * TestEngine.BLOCK_BYTES);
        new Random(block).nextBytes(data.array());
        device.io().write(block * TestEngine.BLOCK_BYTES, data, 0);
    }

    @Test
    void nbdinfoSeesTheDeviceAndAllThatItCanDo() throws Exception {
        JsonNode info = run("nbdinfo", "--json", engine.uri("vol")).json();
        assertEquals("newstyle-fixed", info.get("protocol").asText());
        assertTrue(info.get("structured").asBoolean());
        JsonNode export = info.get("exports").get(0);
        assertEquals((long) MIB << 20, export.get("export-size").asLong());
        for (String can : List.of("cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero")) {
            assertTrue(export.get("can_" + can).asBoolean(), can);
        }
        assertFalse(export.get("is_read_only").asBoolean());
        assertEquals(4096, export.get("block_size_preferred").asInt());
        List<String> contexts = new ArrayList<>();
        export.get("contexts").forEach(c -> contexts.add(c.asText()));
        assertEquals(List.of("base:allocation", "qemu:dirty-bitmap:era-since-1", "era:writes"), contexts);
    }

    @Test
    void nbdinfoListsEveryDeviceThatHasATable() throws Exception {
        engine.create("plain", "2048 zero");
        JsonNode list = run("nbdinfo", "--json", "--list", engine.uri("")).json();
        List<String> names = new ArrayList<>();
        list.get("exports").forEach(e -> names.add(e.get("export-name").asText()));
        assertEquals(List.of("plain", "vol"), names);
        assertNotEquals(0, run("nbdinfo", engine.uri("nobody")).exitCode());
    }

    @Test
    void clientsTakeTheUriOfADeviceWhateverItsNameAndItsSocketAre() throws Exception {
        Path odd = Files.createDirectory(folder.resolve("a&b=c+d;%20"));
        try (TestEngine other = new TestEngine(odd)) {
            for (String name : List.of("plain", NativeText.ofUnicode("\u00fc+&=?#%41:;@"), "a\\x20b")) {
                other.create(name, "2048 zero");
                try (DmClient control = DmClient.open(odd.resolve("control").toString(), line -> {})) {
                    String uri = control.message(DeviceId.ofName(name), 0, "@uri");
                    assertEquals("1048576\n", run("nbdinfo", "--size", uri).good());
                    assertTrue(run("qemu-img", "info", uri).good().contains("virtual size: 1 MiB"));
                }
            }
        }
    }

    @Test
    void nbdcopyBringsAnImageInAndOutAgain() throws Exception {
        Path image = folder.resolve("in.img");
        byte[] bytes = new byte[MIB << 20];
        new Random(1).nextBytes(bytes);
        java.util.Arrays.fill(bytes, 20 << 20, 30 << 20, (byte) 0);
        Files.write(image, bytes);
        run("nbdcopy", image.toString(), engine.uri("vol")).good();
        run("nbdcopy", engine.uri("vol"), "out.img").good();
        assertEquals(-1, Files.mismatch(image, folder.resolve("out.img")));
        run("nbdcopy", "--flush", "--connections=1", "--requests=64", engine.uri("vol"), "out2.img")
                .good();
        assertEquals(-1, Files.mismatch(image, folder.resolve("out2.img")));
        for (long era : TestEngine.eras(device)) {
            assertEquals(1, era);
        }
    }

    @Test
    void nbdinfoMapsErasAndWhatChangedSince() throws Exception {
        write(10, 2);
        TestEngine.checkpoint(device);
        write(11, 3);
        TestEngine.checkpoint(device);
        assertEquals("0+40960=0 40960+4096=1 45056+12288=2 57344+67051520=0", map("era:writes"));
        assertEquals("0+45056=0 45056+12288=1 57344+67051520=0", map("qemu:dirty-bitmap:era-since-2"));
        assertEquals("0+40960=0 40960+16384=1 57344+67051520=0", map("qemu:dirty-bitmap:era-since-1"));
        assertEquals("0+67108864=0", map("qemu:dirty-bitmap:era-since-3"));
        write(4000, 1);
        assertTrue(map("era:writes").contains("16384000+4096=3"), "an unarchived writeset counts");
        for (String never : List.of("0", "4", "4000000000", "4294967296")) {
            assertNotEquals(
                    0,
                    run("nbdinfo", "--map=qemu:dirty-bitmap:era-since-" + never, engine.uri("vol"))
                            .exitCode(),
                    "an era that is not, or is yet to come: " + never);
        }
    }

    private String map(String context) throws Exception {
        StringBuilder text = new StringBuilder();
        for (JsonNode run :
                run("nbdinfo", "--json", "--map=" + context, engine.uri("vol")).json()) {
            text.append(text.isEmpty() ? "" : " ").append(run.get("offset").asLong());
            text.append('+')
                    .append(run.get("length").asLong())
                    .append('=')
                    .append(run.get("type").asLong());
        }
        return text.toString();
    }

    @Test
    void holesOfTheOriginAreSeenAsHoles() throws Exception {
        write(256, 256);
        assertEquals("0+1048576=3 1048576+1048576=0 2097152+65011712=3", map("base:allocation"));
        engine.create("zero", "2048 zero");
        JsonNode map = run("nbdinfo", "--json", "--map", engine.uri("zero")).json();
        assertEquals(3, map.get(0).get("type").asInt());
    }

    @Test
    void qemuImgReadsConvertsAndComparesTheDevice() throws Exception {
        write(0, 4096);
        assertEquals(
                (long) MIB << 20,
                run("qemu-img", "info", "--output=json", engine.uri("vol"))
                        .json()
                        .get("virtual-size")
                        .asLong());
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", engine.uri("vol"), "copy.qcow2")
                .good();
        run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", engine.uri("vol"), "copy.qcow2")
                .good();
        write(5000, 1);
        assertEquals(
                1,
                run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", engine.uri("vol"), "copy.qcow2")
                        .exitCode());
        run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", "copy.qcow2", engine.uri("vol"))
                .good();
        run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", engine.uri("vol"), "copy.qcow2")
                .good();
    }

    @Test
    void qemuImgMapsTheDirtyBitmapOfAnEra() throws Exception {
        write(10, 2);
        TestEngine.checkpoint(device);
        write(100, 4);
        String image = "driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=" + folder.resolve("nbd")
                + ",file.export=vol,file.x-dirty-bitmap=qemu:dirty-bitmap:era-since-2";
        JsonNode map =
                run("qemu-img", "map", "--output=json", "--image-opts", image).json();
        List<String> dirty = new ArrayList<>();
        for (JsonNode run : map) {
            // qemu shows a dirty range as one without data.
            if (!run.get("data").asBoolean()) {
                dirty.add(run.get("start").asLong() + "+" + run.get("length").asLong());
            }
        }
        assertEquals(List.of("409600+16384"), dirty);
    }

    @Test
    void qemuIoWritesZeroesDiscardsFlushesAndForces() throws Exception {
        String out = run(
                        "qemu-io",
                        "-f",
                        "raw",
                        "-c",
                        "write -P 0xab 0 1M",
                        "-c",
                        "write -f -P 0xcd 4k 512",
                        "-c",
                        "write -z 64k 64k",
                        "-c",
                        "write -z -u 128k 64k",
                        "-c",
                        "write -z -n 192k 4k",
                        "-c",
                        "discard 256k 64k",
                        "-c",
                        "flush",
                        "-c",
                        "read -P 0xab 0 4k",
                        "-c",
                        "read -P 0xcd 4k 512",
                        "-c",
                        "read -P 0 64k 132k",
                        "-c",
                        "read -P 0xab 320k 704k",
                        engine.uri("vol"))
                .good();
        assertFalse(out.contains("failed"), out);
        long[] eras = TestEngine.eras(device);
        for (int block = 0; block < 256; block++) {
            assertEquals(1, eras[block], "block " + block);
        }
        assertEquals(0, eras[256]);
    }

    @Test
    void anNbdshScriptUsesTheRestOfTheProtocol() throws Exception {
        run(
                        "nbdsh",
                        "-c",
                        "h.add_meta_context('base:allocation'); h.add_meta_context('era:writes')",
                        "-u",
                        engine.uri("vol"),
                        "-c",
                        """
                        import errno
                        def fails(number, call):
                            try:
                                call()
                            except nbd.Error as e:
                                assert e.errnum == number, e
                                return
                            raise AssertionError('did not fail')
                        # Odd offsets and lengths.
                        h.pwrite(b'x' * 4097, 12345)
                        assert h.pread(4097, 12345) == b'x' * 4097
                        # In one piece.
                        seen = []
                        note = lambda b, off, s, e: seen.append((off, len(b))) and 0
                        h.pread_structured(65536, 0, note, nbd.CMD_FLAG_DF)
                        assert seen == [(0, 65536)], seen
                        seen.clear()
                        h.pread_structured(1 << 20, 0, note, nbd.CMD_FLAG_DF)
                        assert seen == [(0, 1 << 20)], seen
                        # In as many as it likes: every chunk is told.
                        seen.clear()
                        h.pread_structured(1 << 20, 0, note)
                        assert sum(n for _, n in seen) == 1 << 20
                        h.pwrite(b'y' * 8192, 1 << 20, nbd.CMD_FLAG_FUA)
                        h.zero(4096, 1 << 20, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
                        h.zero(4096, (1 << 20) + 4096, nbd.CMD_FLAG_FAST_ZERO)
                        assert h.pread(8192, 1 << 20) == bytes(8192)
                        h.trim(8192, 1 << 20, nbd.CMD_FLAG_FUA)
                        h.cache(1 << 20, 0)
                        h.flush()
                        # Past the end, with libnbd's own check out of the way.
                        h.set_strict_mode(h.get_strict_mode() & ~nbd.STRICT_BOUNDS)
                        size = h.get_size()
                        fails(errno.ENOSPC, lambda: h.pwrite(b'z' * 4096, size - 512))
                        fails(errno.EINVAL, lambda: h.pread(4096, size - 512))
                        fails(errno.EINVAL, lambda: h.trim(4096, size))
                        fails(errno.EINVAL, lambda: h.block_status(4096, size, lambda *a: 0))
                        assert h.pread(512, size - 512) == bytes(512)
                        # One extent alone.
                        seen = []
                        h.block_status(size, 0, lambda c, off, runs, e: seen.append((c, off, runs)) and 0, nbd.CMD_FLAG_REQ_ONE)
                        assert all(len(runs) == 2 for _, _, runs in seen), seen
                        assert sorted(c for c, _, _ in seen) == ['base:allocation', 'era:writes']
                        # Many at once.
                        cookies = [h.aio_pwrite(bytearray([i]) * 4096, (2 << 20) + i * 4096) for i in range(200)]
                        while h.aio_in_flight():
                            h.poll(-1)
                        for c in cookies:
                            assert h.aio_command_completed(c)
                        for i in range(200):
                            assert h.pread(4096, (2 << 20) + i * 4096) == bytes([i]) * 4096
                        """)
                .good();
    }

    @Test
    void fioVerifiesWhatItWroteOnOneConnectionAndOnMany() throws Exception {
        for (String shape : List.of("randwrite 4k 32 1", "randwrite 512 64 1", "write 1m 4 1", "randwrite 16k 8 4")) {
            List<String> w = List.of(shape.split(" ", 4));
            String out = run(
                            "fio",
                            "--name=verify",
                            "--ioengine=nbd",
                            "--uri=" + engine.uri("vol"),
                            "--rw=" + w.get(0),
                            "--bs=" + w.get(1),
                            "--iodepth=" + w.get(2),
                            "--numjobs=" + w.get(3),
                            "--size=" + MIB / Integer.parseInt(w.get(3)) / 4 + "m",
                            "--offset_increment=" + MIB / 4 + "m",
                            "--verify=crc32c",
                            "--verify_fatal=1",
                            "--verify_state_save=0",
                            "--randseed=7")
                    .good();
            assertTrue(out.contains("err= 0"), out);
            TestEngine.checkpoint(device);
        }
    }

    @Test
    void aReadOnlyDeviceRefusesWrites() throws Exception {
        Path data = engine.file("ro.data", 1 << 20);
        MappedDevice readOnly = engine.engine.registry().create("ro", "", java.util.OptionalInt.empty());
        readOnly.load(TestEngine.specs("2048 linear " + data + " 0"), true);
        readOnly.resume();
        JsonNode export =
                run("nbdinfo", "--json", engine.uri("ro")).json().get("exports").get(0);
        assertTrue(export.get("is_read_only").asBoolean());
        assertNotEquals(
                0,
                run("qemu-io", "-f", "raw", "-c", "write 0 4k", engine.uri("ro"))
                        .exitCode());
    }
}
