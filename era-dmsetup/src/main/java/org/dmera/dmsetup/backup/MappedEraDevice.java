// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.backup;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DevicePaths;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.control.EraStatus;
import org.dmera.dmsetup.control.Mangling;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.Words;

/**
 * An era device of the kernel or of the engine, by the control channel. It is addressed by its number, so that it stays the same
 * when it is renamed meanwhile, and each call first looks whether its table still has the metadata and the origin that it had:
 * the number of a device that was removed is given out again.
 *
 * @param id by number, with the name that it had
 */
record MappedEraDevice(DmClient client, DeviceId id, TargetSpec target, Path metadata, Path origin)
        implements EraDevice {
    private static final String MAPPER = "/dev/mapper/";
    private static final int SECTOR_BYTES = 512;
    /** How long to look for a moment without a write in flight, and how often. */
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(10);

    /** The kernel adds the count up CPU by CPU, not in one moment, so one look may deceive. */
    private static final int QUIET_LOOKS = 5;

    private static final long LOOK_AGAIN_NANOS = TimeUnit.MICROSECONDS.toNanos(500);

    /** The device that has the name as it is, or as people's names are on the way to device-mapper. */
    private static DeviceId find(DmClient client, String name) throws IOException {
        DeviceId mangled = DeviceId.ofName(
                Mangling.mangle(Mangling.Kind.NAME, name, Mangling.Mode.ofEnvironment(System.getenv())));
        DeviceId asItIs = DeviceId.ofName(name);
        return !mangled.equals(asItIs) && client.exists(asItIs) ? asItIs : mangled;
    }

    /** A device's name, which is given as it is or as a path in /dev/mapper. */
    static String nameOf(String given) {
        return given.startsWith(MAPPER) ? given.substring(MAPPER.length()) : given;
    }

    /**
     * Finds the device.
     *
     * @param name its name, or a path in /dev/mapper
     * @param metadata instead of the table's, or null
     * @param origin instead of the table's, or null
     * @param viewed whether a view is read instead of the origin, which needs no path then: it may be a mapped device of the
     *     engine, which has none
     */
    static MappedEraDevice open(DmClient client, String name, Path metadata, Path origin, boolean viewed)
            throws IOException {
        DeviceId found = find(client, nameOf(name));
        DeviceId id = DeviceId.ofNumber(found.name(), client.info(found).dev());
        TargetSpec target = TargetSpec.requireOne("era", client.table(id), id.name(), "an era device");
        List<String> words = Words.split(target.params());
        return new MappedEraDevice(
                client,
                id,
                target,
                metadata != null ? metadata : pathOf(words.get(0)),
                origin != null ? origin : originOf(words.get(1), viewed));
    }

    /** Refuses one that is suspended: it begins no era. */
    void requireRunning() throws IOException {
        requireRunning(null);
    }

    private void requireRunning(DmException refusal) throws IOException {
        if (client.info(same()).has(DmFlags.SUSPEND)) {
            throw new IOException(name() + " is suspended; resume it first", refusal);
        }
    }

    /** One that is suspended for a moment, as for another table, is waited for: our engine's refuses messages then. */
    private void message(String text) throws IOException {
        try {
            DmCall.of("message", DmCommand.TARGET_MSG, same())
                    .message(target.startSector(), text)
                    .patiently(true)
                    .run(client.control());
        } catch (DmException e) {
            if (e.is(Errno.EBUSY)) {
                requireRunning(e);
            }
            throw e;
        }
    }

    private static Path originOf(String word, boolean viewed) throws IOException {
        try {
            return pathOf(word);
        } catch (IOException e) {
            if (viewed) {
                return NativeText.path(word);
            }
            throw e;
        }
    }

    private static Path pathOf(String word) throws IOException {
        try {
            return DevicePaths.of(word);
        } catch (IOException e) {
            throw new IOException(e.getMessage() + ": say where it is with --metadata and --origin", e);
        }
    }

    /** To be asked before each call: whether it is still this device that has the number. */
    private DeviceId same() throws IOException {
        List<TargetSpec> table = client.exists(id) ? client.table(id) : List.of();
        if (table.size() != 1 || !table.get(0).params().equals(target.params())) {
            throw new IOException(name() + " is not there any more: it was removed, or has another table");
        }
        return id;
    }

    @Override
    public String name() {
        return id.name();
    }

    @Override
    public long sizeBytes() {
        return target.lengthSectors() * SECTOR_BYTES;
    }

    /** How full its metadata is, among other things. */
    EraStatus status() throws IOException {
        return client.eraStatus(same());
    }

    @Override
    public long currentEra() throws IOException {
        return status().currentEra();
    }

    @Override
    public long checkpoint() throws IOException {
        message("checkpoint");
        return currentEra();
    }

    /**
     * Our engine marks what is in flight again, in the new era, before it answers a checkpoint. The kernel does not: a
     * write that it let go in the old era may reach the origin after the block has been read. There, a moment at which
     * no write is in flight on the device tells that all of them have arrived.
     */
    @Override
    public boolean awaitEarlierWrites() throws IOException {
        return !client.control().isKernel()
                || isQuietOnce(Path.of(
                        "/sys/dev/block", DevNumber.text(client.info(same()).dev())));
    }

    /** Looks in {@code sys} for a moment without a write in flight; false when none is seen, or none can be. */
    static boolean isQuietOnce(Path sys) throws IOException {
        Path statistics = sys.resolve("queue/iostats");
        if (Files.isReadable(statistics)
                && Files.readString(statistics, StandardCharsets.US_ASCII).startsWith("0")) {
            // Newer kernels count nothing then.
            return false;
        }
        Path inflight = sys.resolve("inflight");
        int quiet = 0;
        long deadline = System.nanoTime() + PATIENCE_NANOS;
        while (Files.isReadable(inflight)) {
            String[] counts =
                    Files.readString(inflight, StandardCharsets.US_ASCII).trim().split("\\s+", -1);
            quiet = counts.length == 2 && counts[1].equals("0") ? quiet + 1 : 0;
            if (quiet == QUIET_LOOKS) {
                return true;
            }
            if (System.nanoTime() > deadline) {
                return false;
            }
            LockSupport.parkNanos(LOOK_AGAIN_NANOS);
        }
        return false;
    }

    @Override
    public long snapshotBlock() throws IOException {
        return client.eraStatus(same()).snapshotBlock();
    }

    @Override
    public void takeSnapshot() throws IOException {
        message("take_metadata_snap");
    }

    @Override
    public void dropSnapshot() throws IOException {
        message("drop_metadata_snap");
    }

    @Override
    public void close() throws IOException {
        client.close();
    }
}
