// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
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
import org.dmera.testkit.Alone;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What clients ask for to be durable, or to be given up, is asked of the origin: a write acknowledged is not yet enough. */
@Timeout(600)
@Alone
class DurabilityTest {
    private static final int MIB = 16;

    @TempDir
    private Path folder;

    /** What the origin was asked for: the operation and its flags, once where it comes several times in a row. */
    private final List<String> journal = new CopyOnWriteArrayList<>();

    private MappedDevice device;
    private DeviceRegistry registry;
    private NbdServer server;

    @BeforeEach
    void start() throws IOException {
        FileBackings files = new FileBackings();
        BackingSource noting = (mapped, readOnly, found) ->
                name -> name.endsWith("origin") ? noting(files.open(name, true)) : files.open(name, true);
        registry = new DeviceRegistry(
                List.of(new EraTargetFactory(line -> {})),
                noting,
                task -> new Thread(task).start(),
                DeviceStore.NONE,
                EngineLog.silent());
        device = registry.create(TestLinks.name("durable"), "", OptionalInt.empty());
        device.load(
                TestEngine.specs((MIB << 11) + " era " + file("meta", 8) + " " + file("origin", MIB) + " 8"), false);
        device.resume();
        server = new NbdServer(exports(), line -> {});
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.listenUnix(listener.bind(UnixDomainSocketAddress.of(folder.resolve("nbd"))), folder.resolve("nbd"));
    }

    @AfterEach
    void stop() throws IOException {
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

    private Backing noting(Backing origin) {
        return (Backing) Proxy.newProxyInstance(
                Backing.class.getClassLoader(), new Class<?>[] {Backing.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("flush")) {
                        note("FLUSH 0");
                    } else if (method.getName().equals("submit") && arguments[0] != Operation.READ) {
                        note(arguments[0] + " " + arguments[4]);
                    }
                    try {
                        return method.invoke(origin, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private synchronized void note(String line) {
        if (journal.isEmpty() || !journal.get(journal.size() - 1).equals(line)) {
            journal.add(line);
        }
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
                    public void close() {}
                };
            }
        };
    }

    @Test
    void flushAndForcedRequestsOfAnNbdClientReachTheOriginInOrder() throws Exception {
        Host.need("nbdsh");
        String uri = "nbd+unix:///" + device.name() + "?socket=" + folder.resolve("nbd");
        Host.run(folder, "nbdsh", "-u", uri, "-c", """
                        fua = nbd.CMD_FLAG_FUA
                        block = b'x' * 4096
                        # Of an unmarked block, then of a marked one.
                        for i in range(2):
                            h.pwrite(block, 0)
                            h.flush()
                            h.pwrite(block, 4096, fua)
                            h.zero(4096, 8192, fua | nbd.CMD_FLAG_NO_HOLE)
                            h.zero(4096, 8192)
                            h.trim(4096, 8192, fua)
                            h.trim(4096, 8192)
                        # One that is passed on in pieces as it comes, when its blocks are marked.
                        h.zero(1 << 20, 1 << 20)
                        h.pwrite(b'y' * (1 << 20), 1 << 20, fua)
                        """).good();
        List<String> each =
                List.of("WRITE 0", "FLUSH 0", "WRITE 1", "WRITE_ZEROES 3", "WRITE_ZEROES 0", "DISCARD 1", "DISCARD 0");
        List<String> expected = new ArrayList<>(each);
        expected.addAll(each);
        expected.addAll(List.of("WRITE_ZEROES 0", "WRITE 0", "FLUSH 0"));
        assertEquals(expected, journal);
    }

    @Test
    void flushAndDiscardOfTheNodeReachTheOrigin() throws Exception {
        Host.needAttach();
        Host.need("dd", "blkdiscard");
        HostAttacher attacher = new HostAttacher(
                folder.resolve("attached"), folder.resolve("nbd"), name -> name, new Served(), EngineLog.silent());
        String node = attacher.attach(device);
        try {
            List<String> write =
                    List.of("dd", "if=/dev/zero", "of=" + node, "bs=4k", "count=1", "oflag=direct", "conv=notrunc");
            journal.clear();
            Host.run(folder, write.toArray(String[]::new)).good();
            assertTrue(journal.contains("WRITE 0"), journal.toString());
            // What a file system does for fsync, and for a journal's commit.
            for (String how : List.of("conv=notrunc,fsync", "oflag=direct,dsync")) {
                List<String> durable = new ArrayList<>(write);
                durable.add(how);
                journal.clear();
                Host.run(folder, durable.toArray(String[]::new)).good();
                assertTrue(journal.indexOf("FLUSH 0") > journal.indexOf("WRITE 0"), how + ": " + journal);
            }
            journal.clear();
            Host.run(folder, "blkdiscard", "-o", "65536", "-l", "65536", node).good();
            assertTrue(journal.contains("DISCARD 0") || journal.contains("WRITE_ZEROES 0"), journal.toString());
            assertFalse(journal.contains("WRITE 0"), journal.toString());
        } finally {
            try {
                attacher.detach(device);
                attacher.close();
            } finally {
                TestLinks.clean();
            }
        }
    }
}
