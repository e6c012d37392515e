// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.targets.StoringNothing;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Reads that are long enough to go from the file to the socket directly, and what can come in between. */
@Timeout(300)
class LongReadsTest {
    private static final int MIB = 1 << 20;
    private static final int EIO = 5;
    private static final int EINVAL = 22;
    private static final int DATA = 1;
    private static final int NONE = 0;
    private static final int ERROR = 32769;

    @TempDir
    private Path folder;

    private TestEngine engine;

    @BeforeEach
    void start() throws IOException {
        engine = new TestEngine(folder);
    }

    @AfterEach
    void stop() throws IOException {
        engine.close();
    }

    private Path noise(String name, int mib) throws IOException {
        byte[] bytes = new byte[mib * MIB];
        new Random(name.hashCode()).nextBytes(bytes);
        return Files.write(folder.resolve(name), bytes);
    }

    /** A client that has agreed on structured replies and on nothing else. */
    private WireClient structured(String export) throws IOException {
        WireClient client = new WireClient(folder.resolve("nbd"));
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        client.receive(18);
        client.send(ByteBuffer.allocate(20)
                .putInt(3)
                .putLong(0x49484156454F5054L)
                .putInt(8)
                .putInt(0));
        client.receive(20);
        client.send(ByteBuffer.allocate(16 + name.length)
                .putLong(0x49484156454F5054L)
                .putInt(1)
                .putInt(name.length)
                .put(name));
        client.receive(10);
        return client;
    }

    /** The head of a chunk of the answer to request 7; the length of its payload. */
    private static int expectChunk(WireClient client, int type, boolean done) throws IOException {
        ByteBuffer head = client.receive(20);
        assertEquals(0x668e33ef, head.getInt());
        assertEquals(done ? 1 : 0, head.getShort());
        assertEquals(type, Short.toUnsignedInt(head.getShort()));
        assertEquals(7, head.getLong());
        return head.getInt();
    }

    @Test
    void longReadsComeWholeWhateverIsBeneath() throws Exception {
        Host.need("nbdsh");
        Path data = noise("data", 16);
        Path meta = engine.file("meta", 8 << 20);
        engine.create("under", "32768 linear " + data + " 0");
        engine.create(
                "vol",
                "8192 linear " + data + " 3",
                "8192 zero",
                "16384 era " + meta + " engine:under 8",
                "16384 striped 2 64 " + data + " 0 " + data + " 16384");
        byte[] all = new byte[24 * MIB];
        byte[] file = Files.readAllBytes(data);
        System.arraycopy(file, 3 * 512, all, 0, 4 * MIB);
        System.arraycopy(file, 0, all, 8 * MIB, 8 * MIB);
        for (int i = 0; i < 8 * MIB; i += 32 << 10) {
            int stripe = i / (32 << 10);
            System.arraycopy(file, stripe % 2 * 8 * MIB + stripe / 2 * (32 << 10), all, 16 * MIB + i, 32 << 10);
        }
        Files.write(folder.resolve("expected"), all);
        Host.run(folder, "nbdsh", "-u", engine.uri("vol"), "-c", """
                        want = open('expected', 'rb').read()
                        assert h.get_size() == len(want)
                        import random
                        random.seed(5)
                        for i in range(200):
                            n = random.randrange(1, 3 << 20)
                            at = random.randrange(0, len(want) - n)
                            assert h.pread(n, at) == want[at:at + n], (at, n)
                        assert h.pread(len(want), 0) == want
                        assert h.pread_structured(len(want), 0, lambda *a: 0, nbd.CMD_FLAG_DF) == want
                        # Many at once: their answers come one after another.
                        buffers = [nbd.Buffer(1 << 20) for i in range(24)]
                        cookies = [h.aio_pread(b, i << 20) for i, b in enumerate(buffers)]
                        while h.aio_in_flight() > 0:
                            h.poll(-1)
                            for c in list(cookies):
                                if h.aio_command_completed(c):
                                    cookies.remove(c)
                        assert not cookies
                        assert b''.join(bytes(b.to_bytearray()) for b in buffers) == want
                        """).good();
    }

    @Test
    void aReadErrorInTheMiddleIsToldAndTheConnectionGoesOn() throws Exception {
        Path data = noise("data", 4);
        engine.create("vol", "2048 linear " + data + " 0", "2048 error", "2048 linear " + data + " 4096");
        byte[] file = Files.readAllBytes(data);
        try (WireClient client = structured("vol")) {
            for (int i = 0; i < 3; i++) {
                client.request(WireClient.READ, 7, MIB / 2, MIB, null);
                int length = expectChunk(client, DATA, false);
                assertEquals(8 + MIB, length);
                assertEquals(MIB / 2, client.receive(8).getLong());
                byte[] half = client.receive(MIB / 2).array();
                assertArrayEquals(Arrays.copyOfRange(file, MIB / 2, MIB), half);
                assertArrayEquals(new byte[MIB / 2], client.receive(MIB / 2).array(), "padding");
                ByteBuffer error = client.receive(expectChunk(client, ERROR, true));
                assertEquals(EIO, error.getInt());

                client.request(WireClient.READ, 7, 2 * MIB, MIB, null);
                expectChunk(client, DATA, false);
                client.receive(8);
                byte[] good = client.receive(MIB).array();
                assertArrayEquals(Arrays.copyOfRange(file, 2 * MIB, 3 * MIB), good);
                assertEquals(0, expectChunk(client, NONE, true));
            }
        }
    }

    @Test
    void aFileThatWasCutShortBeneathIsAReadError() throws Exception {
        Path data = noise("data", 4);
        engine.create("vol", "8192 linear " + data + " 0");
        try (WireClient client = structured("vol");
                RandomAccessFile file = new RandomAccessFile(data.toFile(), "rw")) {
            file.setLength(MIB + 1000);
            client.request(WireClient.READ, 7, MIB, MIB, null);
            client.receive(expectChunk(client, DATA, false));
            assertEquals(EIO, client.receive(expectChunk(client, ERROR, true)).getInt());
            client.request(WireClient.READ, 7, 0, MIB, null);
            client.receive(expectChunk(client, DATA, false));
            assertEquals(0, expectChunk(client, NONE, true));
        }
    }

    @Test
    void aReadThatADeviceHasBecomeTooSmallForIsToldAndTheConnectionGoesOn() throws Exception {
        Path data = noise("data", 4);
        MappedDevice device = engine.create("vol", "8192 linear " + data + " 0");
        byte[] file = Files.readAllBytes(data);
        try (WireClient client = structured("vol")) {
            device.suspend();
            client.request(WireClient.READ, 7, 3 * MIB, MIB, null);
            assertEquals(8 + MIB, expectChunk(client, DATA, false));
            device.load(TestEngine.specs("4096 linear " + data + " 0"), false);
            device.resume();
            client.receive(8 + MIB);
            assertEquals(
                    EINVAL, client.receive(expectChunk(client, ERROR, true)).getInt());
            client.request(WireClient.READ, 7, 0, MIB, null);
            expectChunk(client, DATA, false);
            client.receive(8);
            assertArrayEquals(Arrays.copyOf(file, MIB), client.receive(MIB).array());
            assertEquals(0, expectChunk(client, NONE, true));
        }
    }

    @Test
    void aClientThatTakesItsDataSlowlyHoldsUpNoSuspend() throws Exception {
        Path data = noise("data", 32);
        Path meta = engine.file("meta", 8 << 20);
        MappedDevice device = engine.create("vol", "65536 era " + meta + " " + data + " 8");
        byte[] file = Files.readAllBytes(data);
        try (WireClient client = structured("vol")) {
            client.request(WireClient.READ, 7, 0, 32 * MIB, null);
            assertEquals(8 + 32 * MIB, expectChunk(client, DATA, false));
            client.receive(8);
            byte[] first = client.receive(10 * MIB).array();
            // The answer is stuck half-way.
            device.suspend();
            TestEngine.era(device).status();
            device.resume();
            byte[] rest = client.receive(22 * MIB).array();
            assertArrayEquals(Arrays.copyOf(file, 10 * MIB), first);
            assertArrayEquals(Arrays.copyOfRange(file, 10 * MIB, 32 * MIB), rest);
            assertEquals(0, expectChunk(client, NONE, true));
        }
    }

    /** Writes wait for something; the last sector can be read once, and when it can't they are let go. */
    private static final class BreakingTarget extends StoringNothing {
        final List<Prepared> waiting = new CopyOnWriteArrayList<>();
        private final long lastSector;
        private int reads;
        private final AtomicInteger written = new AtomicInteger();

        BreakingTarget(long lastSector) {
            this.lastSector = lastSector;
        }

        @Override
        public String type() {
            return "breaking";
        }

        @Override
        public boolean mustWait(long offsetBytes, long lengthBytes) {
            return true;
        }

        @Override
        public void prepare(long offsetBytes, long lengthBytes, Prepared then) {
            waiting.add(then);
        }

        @Override
        protected void change() {
            written.getAndIncrement();
        }

        @Override
        public void read(long offsetBytes, ByteBuffer dst) throws IOException {
            if (offsetBytes <= lastSector && offsetBytes + dst.remaining() > lastSector && reads++ > 0) {
                waiting.forEach(each -> each.prepared(null));
                while (written.get() < waiting.size()) {
                    LockSupport.parkNanos(1_000_000);
                }
                throw new IOException("for the test");
            }
            dst.position(dst.limit());
        }
    }

    @Test
    void anAnswerThatCanNotBeGivenWholeIsNotMadeWholeByTheAnswersToOtherRequests() throws Exception {
        int sector = 512;
        int length = MIB / 4 + sector;
        DeviceIo io = new DeviceIo(task -> new Thread(task).start());
        BreakingTarget target = new BreakingTarget(length - sector);
        io.setTable(new TargetTable(List.of(new TargetTable.Line(0, length / sector, target))));
        Path socket = folder.resolve("breaking");
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try (NbdServer server = new NbdServer(engine.exporting("vol", io), line -> {})) {
            server.listenUnix(listener.bind(UnixDomainSocketAddress.of(socket)), socket);
            try (WireClient client = WireClient.open(socket, "vol")) {
                int writes = 64;
                for (int i = 0; i < writes; i++) {
                    client.request(WireClient.WRITE, i, i * sector, sector, new byte[sector]);
                }
                while (target.waiting.size() < writes) {
                    TimeUnit.MILLISECONDS.sleep(1);
                }
                client.request(WireClient.READ, 7, 0, length, null);
                assertEquals(new WireClient.Answer(0, 7), client.answer());
                assertThrows(IOException.class, () -> client.receive(length));
            }
        }
    }
}
