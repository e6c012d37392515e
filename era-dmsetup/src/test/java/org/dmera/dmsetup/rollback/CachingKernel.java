// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.linux.Errno;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.metadata.RefusedException;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.MalformedPayloadException;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.TextPayload;
import org.dmera.testkit.CacheImage;

/**
 * Device-mapper with a cache on linear layers on an era device, as far as a rollback meets it, with what the real kernel
 * was seen to do: passthrough is loaded but not resumed while blocks are dirty, and the cache is empty then; blocks are
 * invalidated in passthrough mode only; metadata is written by suspend and status.
 */
final class CachingKernel implements Control {
    static final int CACHE_BLOCKS = 64;
    static final int ERA_BLOCKS = 1000;
    /** Sectors of a cache block, and of an era block. */
    static final int CACHE_BLOCK = 64;

    static final int ERA_BLOCK = 48;
    /** Where the cache's origin begins on the era device. */
    static final int OFFSET = 2048;

    static final int CACHE_SECTORS = 40_000;

    /** The process is killed at this call. */
    static final class Killed extends Error {
        private static final long serialVersionUID = 1L;
    }

    private static final class Device {
        final String name;
        List<TargetSpec> live;
        List<TargetSpec> inactive;
        boolean suspended;

        Device(String name, TargetSpec... live) {
            this.name = name;
            this.live = List.of(live);
        }
    }

    private final Map<Long, Device> devices = new LinkedHashMap<>();
    private final Path cacheMetadata;
    private final EraMetadata era;

    /** What the cache holds: cache block to origin block. */
    final Map<Integer, Integer> cached = new TreeMap<>();

    final TreeSet<Integer> dirty = new TreeSet<>();
    /** A cache that entered passthrough with dirty blocks knows nothing until another table is live. */
    private boolean lost;

    /** Calls until the process is killed, before or after the call's effect; none when negative. */
    int callsUntilKill = -1;

    boolean killAfterEffect;
    int calls;
    boolean eioOnInvalidate;
    boolean needsCheck;
    String cleanerStuck = "";

    CachingKernel(Path folder) throws IOException {
        cacheMetadata = Files.write(folder.resolve("cache-metadata"), new byte[60 * 4096]);
        Path eraMetadata = Files.write(folder.resolve("era-metadata"), new byte[256 * 4096]);
        era = EraMetadata.openOrFormat(FileBlockDevice.open(eraMetadata, true), ERA_BLOCK);
        era.resize(ERA_BLOCKS);
        era.rollover();
        era.commit();
        devices.put(
                DevNumber.encode(253, 0),
                new Device(
                        "data",
                        new TargetSpec(0, (long) ERA_BLOCKS * ERA_BLOCK, "era", eraMetadata + " 7:1 " + ERA_BLOCK)));
        // Two layers and two segments: the second lies before the first on the era device.
        devices.put(
                DevNumber.encode(253, 1),
                new Device(
                        "lower",
                        new TargetSpec(0, 30_000, "linear", "253:0 " + (OFFSET + 10_000)),
                        new TargetSpec(30_000, 10_000, "linear", "253:0 " + OFFSET)));
        devices.put(
                DevNumber.encode(253, 2), new Device("upper", new TargetSpec(0, CACHE_SECTORS, "linear", "253:1 0")));
        devices.put(DevNumber.encode(253, 3), new Device("cached", cacheLine("writeback metadata2", 2)));
    }

    private TargetSpec cacheLine(String features, int count) {
        return new TargetSpec(
                0,
                CACHE_SECTORS,
                "cache",
                cacheMetadata + " 7:3 253:2 " + CACHE_BLOCK + " " + count + " " + features
                        + " smq 2 random_threshold 8");
    }

    /** The sector of the era device under a sector of the cache. */
    static int eraSector(int sector) {
        return sector < 30_000 ? OFFSET + 10_000 + sector : OFFSET + sector - 30_000;
    }

    synchronized String table(String name) {
        Device device = named(name);
        return device.live.get(0).line()
                + (device.suspended ? " suspended" : "")
                + (device.inactive == null ? "" : " inactive");
    }

    void setTable(String name, TargetSpec... lines) {
        named(name).live = List.of(lines);
    }

    void suspend(String name) {
        named(name).suspended = true;
    }

    private Device named(String name) {
        return devices.values().stream()
                .filter(device -> device.name.equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** A write to the cached device's sector, as the era device sees it. */
    void mark(int cacheSector) throws IOException {
        era.mark(eraSector(cacheSector) / ERA_BLOCK);
        era.commit();
    }

    long checkpoint() throws IOException {
        era.rollover();
        era.commit();
        return era.currentEra();
    }

    EraMetadata era() {
        return era;
    }

    @Override
    public boolean isKernel() {
        return true;
    }

    @Override
    public String describe() {
        return "a kernel of the test's";
    }

    /** Not in the midst of a call, nor is one done that is interrupted already: the files are of this process, and would be closed. */
    synchronized void interrupt(Thread thread) {
        thread.interrupt();
    }

    @Override
    public synchronized int call(int command, ByteBuffer buffer) throws IOException {
        boolean interrupted = Thread.interrupted();
        try {
            return callAlone(command, buffer);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private int callAlone(int command, ByteBuffer buffer) throws IOException {
        calls++;
        boolean kill = callsUntilKill >= 0 && callsUntilKill-- == 0;
        if (kill && !killAfterEffect) {
            throw new Killed();
        }
        int result;
        try {
            result = answer(command, DmIoctl.over(buffer));
        } catch (MalformedPayloadException | RefusedException e) {
            result = -Errno.EINVAL.number();
        }
        if (kill) {
            throw new Killed();
        }
        return result;
    }

    private int answer(int command, DmIoctl io) throws IOException, MalformedPayloadException, RefusedException {
        if (command == DmCommand.VERSION.number()) {
            io.setVersion(4, 47, 0);
            return 0;
        }
        Device device = io.name().isEmpty()
                ? devices.get(io.dev())
                : devices.values().stream()
                        .filter(d -> d.name.equals(io.name()))
                        .findFirst()
                        .orElse(null);
        if (device == null) {
            return -Errno.ENXIO.number();
        }
        int result = 0;
        List<TargetSpec> lines = null;
        if (command == DmCommand.TABLE_STATUS.number()) {
            boolean table = io.has(DmFlags.STATUS_TABLE);
            lines = table ? device.live : List.of(status(device, io.has(DmFlags.NOFLUSH)));
        } else if (command == DmCommand.TABLE_LOAD.number()) {
            device.inactive = List.copyOf(TargetSpec.decodeRequest(io));
        } else if (command == DmCommand.TABLE_CLEAR.number()) {
            device.inactive = null;
        } else if (command == DmCommand.DEV_SUSPEND.number()) {
            result = io.has(DmFlags.SUSPEND) ? suspend(device) : resume(device);
        } else if (command == DmCommand.TARGET_MSG.number()) {
            result = message(device, TextPayload.messageText(io));
        } else if (command != DmCommand.DEV_STATUS.number()) {
            return -Errno.ENOTTY.number();
        }
        io.setName(device.name);
        io.setFlags(io.flags() & ~(DmFlags.SUSPEND | DmFlags.DATA_OUT)
                | DmFlags.ACTIVE_PRESENT
                | (device.suspended ? DmFlags.SUSPEND : 0)
                | (device.inactive == null ? 0 : DmFlags.INACTIVE_PRESENT));
        io.setTargetCount(0);
        if (lines != null) {
            io.setTargetCount(lines.size());
            TargetSpec.encodeAnswer(io, lines);
        }
        return result;
    }

    private int suspend(Device device) throws IOException {
        if (!device.suspended) {
            device.suspended = true;
            if (device.name.equals("cached")) {
                writeMetadata(true);
            }
        }
        return 0;
    }

    private int resume(Device device) throws IOException {
        if (device.inactive != null) {
            device.live = device.inactive;
            device.inactive = null;
            device.suspended = true;
            lost = device.name.equals("cached")
                    && CacheTable.parse(device.live.get(0)).isPassthrough()
                    && !dirty.isEmpty();
        }
        if (lost) {
            return -Errno.EBUSY.number();
        }
        device.suspended = false;
        return 0;
    }

    private TargetSpec status(Device device, boolean noFlush) throws IOException {
        TargetSpec line = device.live.get(0);
        String text;
        if (line.type().equals("era")) {
            era.commit();
            text = era.stats().statusLine();
        } else if (line.type().equals("cache")) {
            CacheTable table = CacheTable.parse(line);
            if (!noFlush && !device.suspended) {
                writeMetadata(false);
                for (int i = 0; table.isCleaning() && cleanerStuck.isEmpty() && i < 5 && !dirty.isEmpty(); i++) {
                    int origin = cached.get(dirty.pollFirst());
                    for (int s = 0; s < CACHE_BLOCK; s++) {
                        era.mark(eraSector(origin * CACHE_BLOCK + s) / ERA_BLOCK);
                    }
                }
            }
            text = "8 9/1024 " + CACHE_BLOCK + " " + (lost ? 0 : cached.size()) + "/" + CACHE_BLOCKS + " 1 2 3 4 0 5 "
                    + (lost ? 0 : dirty.size()) + " 1 " + table.mode() + " 2 migration_threshold 2048 " + table.policy()
                    + " 0 rw " + (needsCheck ? "needs_check " : "- ");
        } else {
            text = "";
        }
        return new TargetSpec(line.startSector(), line.lengthSectors(), line.type(), text);
    }

    private int message(Device device, String text) throws IOException, RefusedException {
        String[] words = text.split(" ", -1);
        if (device.name.equals("data")) {
            if (words[0].equals("take_metadata_snap")) {
                era.takeSnapshot();
            } else {
                era.dropSnapshot();
            }
            era.commit();
            return 0;
        }
        if (eioOnInvalidate) {
            return -Errno.EIO.number();
        }
        if (!words[0].equals("invalidate_cblocks")
                || !CacheTable.parse(device.live.get(0)).isPassthrough()) {
            return -Errno.EINVAL.number();
        }
        for (int i = 1; i < words.length; i++) {
            int dash = words[i].indexOf('-');
            int begin = Integer.parseInt(dash < 0 ? words[i] : words[i].substring(0, dash));
            int end = dash < 0 ? begin + 1 : Integer.parseInt(words[i].substring(dash + 1));
            if (begin >= end || end > CACHE_BLOCKS) {
                return -Errno.EINVAL.number();
            }
            for (int block = begin; block < end; block++) {
                cached.remove(block);
            }
        }
        return 0;
    }

    private void writeMetadata(boolean clean) throws IOException {
        List<Integer> origins = new ArrayList<>();
        for (int c = 0; c < CACHE_BLOCKS; c++) {
            origins.add(cached.getOrDefault(c, -1));
        }
        try (FileBlockDevice device = FileBlockDevice.open(cacheMetadata, true)) {
            CacheImage.write(device, 2, CACHE_BLOCK, CACHE_BLOCKS, clean, new CacheImage.Contents() {
                @Override
                public long originBlock(long cacheBlock) {
                    return origins.get((int) cacheBlock);
                }

                @Override
                public boolean isDirty(long cacheBlock) {
                    return dirty.contains((int) cacheBlock);
                }
            });
        }
    }
}
