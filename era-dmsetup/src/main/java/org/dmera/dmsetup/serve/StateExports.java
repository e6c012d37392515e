// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.serve;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.device.TargetTable;
import org.dmera.dmsetup.export.ExportSource;
import org.dmera.tools.backup.image.StreamImage;

/**
 * The states of a chain as exports: each has the name of the stream that led to it, without folder and suffix; the last is
 * also the one without a name, which clients get that ask for none.
 */
final class StateExports implements ExportSource {
    private static final String SUFFIX = ".erastream";
    private static final int SECTOR_BYTES = 512;

    private final Map<String, DeviceIo> devices = new LinkedHashMap<>();
    private DeviceIo last;

    /** Exports of all states; fails when two streams have the same name, so that one export would hide the other. */
    StateExports(StreamImage image) throws IOException {
        for (int state = 0; state < image.states(); state++) {
            last = device(image, state);
            if (devices.put(name(image, state), last) != null) {
                throw new IOException(image.name(state) + ": two streams are called \"" + name(image, state)
                        + "\", and the states are served by these names: rename one");
            }
        }
    }

    static String name(StreamImage image, int state) {
        String file = Path.of(image.name(state)).getFileName().toString();
        return file.endsWith(SUFFIX) && file.length() > SUFFIX.length()
                ? file.substring(0, file.length() - SUFFIX.length())
                : file;
    }

    /** An origin that ends within a sector is filled up with zeroes to the sector's end. */
    private static DeviceIo device(StreamImage image, int state) {
        DeviceIo io = new DeviceIo(task -> {
            throw new IllegalStateException("nothing is written here that could have to wait");
        });
        long sectors = (image.sizeBytes(state) + SECTOR_BYTES - 1) / SECTOR_BYTES;
        io.setTable(new TargetTable(
                sectors == 0 ? List.of() : List.of(new TargetTable.Line(0, sectors, new StateTarget(image, state)))));
        io.setReadOnly(true);
        return io;
    }

    @Override
    public List<String> names() {
        return new ArrayList<>(devices.keySet());
    }

    DeviceIo last() {
        return last;
    }

    @Override
    public OpenDevice open(String name) throws IOException {
        DeviceIo io = name.isEmpty() ? last() : devices.get(name);
        if (io == null) {
            throw new ErrnoException("export " + name, Errno.ENXIO);
        }
        return new OpenDevice() {
            @Override
            public DeviceIo io() {
                return io;
            }

            @Override
            public void close() {
                // Nobody counts those who read a backup.
            }
        };
    }
}
