// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.SocketControl;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.TargetSpec;

/** An engine in this process, in a folder of its own, and the calls that tests make on it. */
public final class TestEngine implements Closeable {
    private static final int SECTOR_BYTES = 512;

    final Path folder;
    final Path socket;
    private final Engine engine;

    public TestEngine(Path folder) throws IOException {
        this(folder, EngineLog.silent());
    }

    TestEngine(Path folder, EngineLog log) throws IOException {
        this.folder = folder;
        socket = folder.resolve("run/control");
        engine = new Engine(
                new EngineOptions(
                        socket,
                        folder.resolve("state"),
                        EngineOptions.nbdSocket(socket),
                        EngineLog.Level.ERROR,
                        null,
                        TcpAccess.NONE),
                log);
    }

    DeviceRegistry registry() {
        return engine.registry();
    }

    /** Waits for the devices that a restart brings back: the engine answers before, on a machine that is busy. */
    TestEngine allBack() {
        registry().devices().forEach(registry()::awaitBack);
        return this;
    }

    /** A new connection. */
    DmClient client() throws IOException {
        return new DmClient(SocketControl.connect(socket));
    }

    /** A file of zeroes in the engine's folder. */
    Path file(String name, long sectors) throws IOException {
        Path file = folder.resolve(name);
        makeFile(file, sectors);
        return file;
    }

    static void makeFile(Path file, long sectors) throws IOException {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.setLength(sectors * SECTOR_BYTES);
        }
    }

    /** An era device over new files. */
    void createEra(DmClient client, String name, long sectors, int blockSizeSectors) throws IOException {
        create(client, name, new TargetSpec(0, sectors, "era", eraParams(name, sectors, blockSizeSectors)));
    }

    private String eraParams(String name, long sectors, int blockSizeSectors) throws IOException {
        return file(name + ".meta", 8192) + " " + file(name + ".data", sectors) + " " + blockSizeSectors;
    }

    static void create(DmClient client, String name, TargetSpec... table) throws IOException {
        call(client, "create", DmCommand.DEV_CREATE, name);
        DmCall.of("reload", DmCommand.TABLE_LOAD, DeviceId.ofName(name))
                .table(List.of(table))
                .run(client.control());
        resume(client, name);
    }

    static void suspend(DmClient client, String name) throws IOException {
        DmCall.of("suspend", DmCommand.DEV_SUSPEND, DeviceId.ofName(name))
                .flag(DmFlags.SUSPEND, true)
                .run(client.control());
    }

    static void resume(DmClient client, String name) throws IOException {
        call(client, "resume", DmCommand.DEV_SUSPEND, name);
    }

    static void remove(DmClient client, String name) throws IOException {
        call(client, "remove", DmCommand.DEV_REMOVE, name);
    }

    static void call(DmClient client, String task, DmCommand command, String name) throws IOException {
        DmCall.of(task, command, DeviceId.ofName(name)).run(client.control());
    }

    @Override
    public void close() throws IOException {
        engine.close();
    }
}
