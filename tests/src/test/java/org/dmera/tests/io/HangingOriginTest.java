// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.BackingSource;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.DeviceStore;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.device.ShutdownSteps;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.export.HostAttacher;
import org.dmera.dmsetup.export.NbdServer;
import org.dmera.dmsetup.export.Served;
import org.dmera.dmsetup.targets.Backing;
import org.dmera.dmsetup.targets.EraTargetFactory;
import org.dmera.dmsetup.targets.FileBackings;
import org.dmera.dmsetup.targets.Operation;
import org.dmera.dmsetup.targets.StorageAreas;
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * An origin on which a write hangs for as long as it likes, as on a disk that is being reset: what hangs is never done after what
 * was acknowledged since, and keeps nothing else waiting.
 */
@Timeout(300)
@Alone
class HangingOriginTest {
    private static final int BLOCK = 4096;
    private static final int MIB = 16;
    private static final byte[] OLD = filled('A');
    private static final byte[] NEW = filled('B');

    @TempDir
    private Path folder;

    private final Served served = new Served();
    /** Writes of {@link #OLD} hang once each until this is opened. */
    private final CountDownLatch hanging = new CountDownLatch(1);

    private final CountDownLatch hangs = new CountDownLatch(1);
    private MappedDevice device;
    private DeviceRegistry registry;
    private NbdServer server;

    private static byte[] filled(char c) {
        byte[] data = new byte[BLOCK];
        Arrays.fill(data, (byte) c);
        return data;
    }

    @BeforeEach
    void start() throws IOException {
        FileBackings files = new FileBackings();
        BackingSource source = (mapped, readOnly, found) ->
                name -> name.endsWith("origin") ? hanging(files.open(name, true)) : files.open(name, true);
        registry = new DeviceRegistry(
                List.of(new EraTargetFactory(line -> {})),
                source,
                Executors.newCachedThreadPool(task -> {
                    Thread thread = new Thread(task, "background");
                    thread.setDaemon(true);
                    return thread;
                }),
                DeviceStore.NONE,
                EngineLog.silent());
        device = registry.create(TestLinks.name("hanging"), "", OptionalInt.empty());
        device.load(
                TestEngine.specs((MIB << 11) + " era " + file("meta", 8) + " " + file("origin", MIB) + " 8"), false);
        device.resume();
        server = new NbdServer(served, exports(), line -> {});
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.listenUnix(listener.bind(UnixDomainSocketAddress.of(folder.resolve("nbd"))), folder.resolve("nbd"));
    }

    @AfterEach
    void stop() throws IOException {
        hanging.countDown();
        server.close();
        ShutdownSteps steps = new ShutdownSteps(EngineLog.silent());
        registry.suspendAll(steps);
        registry.closeAll(steps);
        steps.throwFirst();
    }

    private Path file(String name, int mib) throws IOException {
        Path file = folder.resolve(name);
        try (java.io.RandomAccessFile raw = new java.io.RandomAccessFile(file.toFile(), "rw")) {
            raw.setLength((long) mib << 20);
        }
        return file;
    }

    private Backing hanging(Backing origin) {
        return (Backing) Proxy.newProxyInstance(
                Backing.class.getClassLoader(), new Class<?>[] {Backing.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("submit") && arguments[0] == Operation.WRITE) {
                        ByteBuffer data = (ByteBuffer) arguments[3];
                        if (data.get(data.position()) == 'A') {
                            hangs.countDown();
                            hanging.await();
                        }
                    }
                    try {
                        return method.invoke(origin, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private ExportSource exports() {
        return new ExportSource() {
            @Override
            public List<String> names() {
                return List.of(device.name());
            }

            @Override
            public OpenDevice open(String name) {
                return new OpenDevice() {
                    @Override
                    public DeviceIo io() {
                        return device.io();
                    }

                    @Override
                    public StorageAreas storage() {
                        StorageAreas areas = new StorageAreas();
                        device.storage(0, device.io().sizeBytes(), areas);
                        return areas;
                    }

                    @Override
                    public void close() {}
                };
            }
        };
    }

    private WireClient open() throws IOException {
        return WireClient.open(folder.resolve("nbd"), device.name());
    }

    /** The block as it lies beneath, for which nobody has to be asked. */
    private byte[] beneath(int block) throws IOException {
        byte[] origin = Files.readAllBytes(folder.resolve("origin"));
        return Arrays.copyOfRange(origin, block * BLOCK, (block + 1) * BLOCK);
    }

    private void hang(WireClient client) throws Exception {
        client.request(WireClient.WRITE, 1, 0, BLOCK, OLD);
        hangs.await();
    }

    /** Lets what hangs go on once {@code young} can have been done if it is not waiting. */
    private void release(FutureTask<?> young) throws Exception {
        new Thread(young).start();
        TimeUnit.MILLISECONDS.sleep(300);
        assertFalse(young.isDone(), "it is done while an older write to the same place hangs");
        hanging.countDown();
        young.get();
        assertArrayEquals(NEW, beneath(0));
    }

    private FutureTask<Void> writeByNbd() {
        return new FutureTask<>(() -> {
            try (WireClient young = open()) {
                assertEquals(0, young.write(0, NEW));
            }
            return null;
        });
    }

    @Test
    void aClientThatComesBackWaitsForTheWriteOfItsDeadConnectionThatHangs() throws Exception {
        try (WireClient first = open()) {
            assertEquals(0, first.write(0, NEW));
        }
        WireClient old = open();
        hang(old);
        old.close();
        release(writeByNbd());
    }

    @Test
    void itWaitsAlsoForOneThatHadToWaitForItsMark() throws Exception {
        WireClient old = open();
        hang(old);
        old.close();
        release(writeByNbd());
    }

    @Test
    void whoComesByAnotherWayWaitsForTheWriteOfANodeThatWasTakenAway() throws Exception {
        Host.needAttach();
        Host.need("dd", "umount");
        HostAttacher attacher = attacher();
        String node = attacher.attach(device);
        try {
            Process writer = writeToNode(node, "AAAA");
            hangs.await();
            assertTrue(served.payloadBytes() >= BLOCK, "what waits for marks is counted, also a node's");
            // As somebody does whose device does not answer: the requests fail, and nobody is to be acknowledged any
            // more.
            String file = Files.readAllLines(Path.of("/proc/mounts")).stream()
                    .map(line -> line.split(" ", -1)[1])
                    .filter(mounted -> mounted.startsWith(folder.toString()))
                    .findFirst()
                    .orElseThrow();
            Host.run(folder, "umount", "-f", "-l", file).good();
            writer.waitFor();
            release(writeByNbd());
            while (served.payloadBytes() > 0) {
                TimeUnit.MILLISECONDS.sleep(1);
            }
        } finally {
            hanging.countDown();
            attacher.close();
            TestLinks.clean();
        }
    }

    @Test
    void whatIsWrittenByTheNodeWaitsForTheWriteOfADeadConnection() throws Exception {
        Host.needAttach();
        Host.need("dd");
        HostAttacher attacher = attacher();
        try {
            WireClient old = open();
            hang(old);
            old.close();
            String node = attacher.attach(device);
            release(new FutureTask<>(() -> {
                assertEquals(0, writeToNode(node, "BBBB").waitFor());
                return null;
            }));
        } finally {
            hanging.countDown();
            attacher.close();
            TestLinks.clean();
        }
    }

    private HostAttacher attacher() {
        return new HostAttacher(
                folder.resolve("attached"), folder.resolve("nbd"), name -> name, served, EngineLog.silent());
    }

    private Process writeToNode(String node, String letters) throws IOException {
        Path data = Files.write(folder.resolve("data-" + letters), letters.startsWith("A") ? OLD : NEW);
        return new ProcessBuilder("dd", "if=" + data, "of=" + node, "bs=4k", "count=1", "oflag=direct", "conv=notrunc")
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("dd").toFile())
                .start();
    }

    @Test
    void whatIsDoneIsAnsweredThoughTheNextRequestOfTheConnectionHangs() throws Exception {
        try (WireClient client = open()) {
            for (int block = 0; block < 8; block++) {
                assertEquals(0, client.write((long) block * BLOCK, NEW));
            }
            // All in one, so that the server has them at once.
            ByteBuffer requests = ByteBuffer.allocate(8 * (28 + BLOCK));
            for (int i = 1; i < 8; i++) {
                put(requests, i, i, NEW);
            }
            put(requests, 0, 0, OLD);
            client.send(requests);
            hangs.await();
            for (int i = 1; i < 8; i++) {
                assertEquals(new WireClient.Answer(0, i), client.answer());
            }
            hanging.countDown();
            assertEquals(new WireClient.Answer(0, 0), client.answer());
            assertArrayEquals(NEW, client.read(BLOCK, BLOCK));
        }
    }

    @Test
    void whatHadToWaitForMarksIsAnsweredThoughAnotherOfItsCommitHangs() throws Exception {
        try (WireClient client = open()) {
            ByteBuffer requests = ByteBuffer.allocate(8 * (28 + BLOCK));
            put(requests, 0, 0, OLD);
            for (int i = 1; i < 8; i++) {
                put(requests, i, i, NEW);
            }
            client.send(requests);
            hangs.await();
            boolean[] answered = new boolean[8];
            for (int i = 1; i < 8; i++) {
                WireClient.Answer answer = client.answer();
                assertEquals(0, answer.error());
                answered[(int) answer.cookie()] = true;
            }
            assertFalse(answered[0]);
            hanging.countDown();
            assertEquals(new WireClient.Answer(0, 0), client.answer());
            for (int i = 1; i < 8; i++) {
                assertTrue(answered[i], "request " + i);
            }
        }
    }

    private static void put(ByteBuffer to, long cookie, int block, byte[] data) {
        to.putInt(0x25609513).putShort((short) 0).putShort((short) WireClient.WRITE);
        to.putLong(cookie).putLong((long) block * BLOCK).putInt(BLOCK).put(data);
    }
}
