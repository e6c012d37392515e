// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import java.io.Closeable;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.engine.Engine;
import org.dmera.dmsetup.engine.EngineOptions;
import org.dmera.dmsetup.engine.TcpAccess;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.EraTarget;
import org.dmera.dmsetup.targets.Target;

/** An engine in this process, with files of its own in a folder. */
final class TestEngine implements Closeable {
    static final int BLOCK_BYTES = 4096;
    private static final int SECTOR_BYTES = 512;

    final Path folder;
    final Engine engine;

    TestEngine(Path folder) throws IOException {
        this.folder = folder;
        this.engine = new Engine(options(folder), EngineLog.silent());
        // It answers before, on a machine that is too busy to bring them back in a moment.
        engine.registry().devices().forEach(engine.registry()::awaitBack);
    }

    static EngineOptions options(Path folder) {
        return new EngineOptions(
                folder.resolve("control"),
                folder.resolve("state"),
                folder.resolve("nbd"),
                EngineLog.Level.INFO,
                null,
                TcpAccess.NONE);
    }

    /** A file of that size, all holes. */
    Path file(String name, long bytes) throws IOException {
        Path file = folder.resolve(name);
        try (RandomAccessFile raw = new RandomAccessFile(file.toFile(), "rw")) {
            raw.setLength(bytes);
        }
        return file;
    }

    /** A device with a live table; each line is {@code sectors type words…}, one after another. */
    MappedDevice create(String name, String... lines) throws IOException {
        MappedDevice device = engine.registry().create(name, "", OptionalInt.empty());
        device.load(specs(lines), false);
        device.resume();
        return device;
    }

    static List<TargetSpec> specs(String... lines) {
        List<TargetSpec> specs = new ArrayList<>();
        long start = 0;
        for (String line : lines) {
            List<String> words = List.of(line.split(" ", 3));
            long sectors = Long.parseLong(words.get(0));
            specs.add(new TargetSpec(start, sectors, words.get(1), words.size() > 2 ? words.get(2) : ""));
            start += sectors;
        }
        return specs;
    }

    /** An era device of {@code mib} MiB in blocks of 4 KiB over fresh files {@code NAME.meta} and {@code NAME.data}. */
    MappedDevice createEra(String name, int mib) throws IOException {
        long bytes = (long) mib << 20;
        Path meta = file(name + ".meta", 8 << 20);
        Path data = file(name + ".data", bytes);
        return create(name, bytes / SECTOR_BYTES + " era " + meta + " " + data + " " + BLOCK_BYTES / SECTOR_BYTES);
    }

    /** The exports of a server of a test's own: one fresh era device. */
    ExportSource exporting(String name, int mib) throws IOException {
        return exporting(name, createEra(name, mib).io());
    }

    /** The same with a device that is there. */
    ExportSource exporting(String name, DeviceIo io) {
        return new ExportSource() {
            @Override
            public List<String> names() {
                return List.of(name);
            }

            @Override
            public OpenDevice open(String export) {
                return new OpenDevice() {
                    @Override
                    public DeviceIo io() {
                        return io;
                    }

                    @Override
                    public void close() {}
                };
            }
        };
    }

    /** The device's NBD URI. */
    String uri(String name) {
        return "nbd+unix:///" + name + "?socket=" + folder.resolve("nbd");
    }

    static EraTarget era(MappedDevice device) {
        Target target = device.io().table().lines().get(0).target();
        return (EraTarget) target;
    }

    static void checkpoint(MappedDevice device) throws IOException {
        device.message(0, List.of("checkpoint"));
    }

    /** The era of the last write of each block, as unsigned numbers. */
    static long[] eras(MappedDevice device) throws IOException {
        long[] eras = new long[(int) ((device.io().sizeBytes() + BLOCK_BYTES - 1) / BLOCK_BYTES)];
        int[] at = new int[1];
        device.io().lastWritten(0, device.io().sizeBytes(), null, (length, era) -> {
            for (long i = 0; i < length; i += BLOCK_BYTES) {
                eras[at[0]++] = Integer.toUnsignedLong(era);
            }
            return true;
        });
        return eras;
    }

    @Override
    public void close() throws IOException {
        engine.close();
    }
}
