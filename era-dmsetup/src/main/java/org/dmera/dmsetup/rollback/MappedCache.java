// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * A cache that the kernel runs: its tables, its state, its status, and its messages.
 *
 * @param udevFlags for udev's rules when the device changes, see {@link DmCall#udevFlags}
 */
record MappedCache(DmClient client, DeviceId id, int udevFlags) {
    /** Which of the figures that the kernel has of a block device (its Documentation/block/stat.rst). */
    private static final int DISCARDS = 11;

    String name() {
        return id.name();
    }

    /** The live table. */
    CacheTable table() throws IOException {
        return CacheTable.of(name(), client.table(id));
    }

    boolean isSuspended() throws IOException {
        return info().has(DmFlags.SUSPEND);
    }

    /** How many have it open: a mount is one. */
    int openCount() throws IOException {
        return info().openCount();
    }

    /** Discards that have reached it since the device was made. */
    long discards() throws IOException {
        Path figures = Path.of("/sys/dev/block", DevNumber.text(info().dev()), "stat");
        if (!Files.exists(figures)) {
            return 0;
        }
        String[] fields = Files.readString(figures).trim().split(" +", -1);
        return fields.length > DISCARDS ? Long.parseLong(fields[DISCARDS]) : 0;
    }

    /** Whether a table is loaded that isn't live. */
    boolean hasInactiveTable() throws IOException {
        return info().has(DmFlags.INACTIVE_PRESENT);
    }

    private DmIoctl info() throws IOException {
        return client.info(id);
    }

    /** The status of a device that runs; this commits the cache's metadata. */
    CacheStatus status() throws IOException {
        return parse(client.status(id));
    }

    /** The status as it stands: for a suspended device. */
    CacheStatus statusUncommitted() throws IOException {
        return parse(TargetSpec.decodeAnswer(DmCall.of("status", DmCommand.TABLE_STATUS, id)
                .flag(DmFlags.NOFLUSH, true)
                .run(client.control())));
    }

    private CacheStatus parse(List<TargetSpec> lines) throws IOException {
        if (lines.size() != 1) {
            throw new IOException(name() + " has no live table");
        }
        return CacheStatus.parse(name(), lines.get(0).params());
    }

    /** All I/O is over, and the metadata on the device is complete. */
    void suspend() throws IOException {
        DmCall.of("suspend", DmCommand.DEV_SUSPEND, id)
                .flag(DmFlags.SUSPEND, true)
                .run(client.control());
    }

    void resume() throws IOException {
        DmCall.of("resume", DmCommand.DEV_SUSPEND, id).udevFlags(udevFlags).run(client.control());
    }

    /** Makes {@code table} the live one. */
    void swap(CacheTable table) throws IOException {
        suspend();
        load(table);
        resume();
    }

    /** Lets what is live run again, whatever a run that was killed or has failed left: suspended, or another table loaded. */
    void release() throws IOException {
        if (hasInactiveTable()) {
            clear();
        }
        if (isSuspended()) {
            resume();
        }
    }

    /** Loads a table; the cache reads its metadata at this moment, so the device is to be suspended. */
    void load(CacheTable table) throws IOException {
        DmCall.of("reload", DmCommand.TABLE_LOAD, id)
                .table(List.of(table.spec()))
                .run(client.control());
    }

    /** Forgets a table that is loaded and not live. */
    void clear() throws IOException {
        DmCall.of("clear", DmCommand.TABLE_CLEAR, id).run(client.control());
    }

    /** {@code blocks}: numbers and ranges, as {@code invalidate_cblocks} takes them. */
    void invalidate(String blocks) throws IOException {
        client.message(id, 0, "invalidate_cblocks " + blocks);
    }
}
