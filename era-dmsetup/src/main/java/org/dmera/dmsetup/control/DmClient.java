// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.dmera.dmsetup.ioctl.Dependencies;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.DeviceEntry;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.ioctl.TextPayload;
import org.dmera.dmsetup.ioctl.Words;

/** What programs do with mapped devices, on either channel: list them, read tables and status, send messages. */
public final class DmClient implements Closeable {
    /** The first version of the interface whose device list carries event numbers. */
    private static final int MINOR_WITH_EVENTS = 37;

    /** What the answer to a freeze has of each view at most: the era, a blank, the name, a line break. */
    private static final int VIEW_BYTES = 10 + 1 + DmIoctl.NAME_BYTES + 1;

    /** Longer than tables are swapped for: whoever has a device suspended for so long may have forgotten it. */
    private static final Duration SUSPENDED_FOR = Duration.ofSeconds(30);

    private final Control control;
    private int driverMinor = -1;

    /** A client that closes {@code control} with itself. */
    public DmClient(Control control) {
        this.control = control;
    }

    /**
     * A client of the channel that a user asked for, for a program that may be run by a timer: it waits for a suspended device
     * of the kernel's for a while only.
     *
     * @param option the value of {@code --control}, or null: see {@link ControlChoice}
     * @param user gets a line when the kernel does not come back: see {@link ImpatientControl}
     */
    public static DmClient open(String option, Consumer<String> user) throws IOException {
        Control control = ControlChoice.of(option, System.getenv()).connect();
        return new DmClient(control.isKernel() ? new ImpatientControl(control, user, SUSPENDED_FOR) : control);
    }

    public Control control() {
        return control;
    }

    /** The driver's version, as {@code 4.47.0}; fails when its major version is not 4. */
    public String version() throws IOException {
        DmIoctl io = DmCall.of("version", DmCommand.VERSION, DeviceId.NONE).run(control);
        if (io.versionMajor() != 4) {
            throw new IOException("device-mapper: interface version " + io.versionMajor() + "; expected 4");
        }
        driverMinor = io.versionMinor();
        return io.versionMajor() + "." + io.versionMinor() + "." + io.versionPatch();
    }

    /** Every mapped device, in the driver's order; without uuids, which {@link #info} has. */
    public List<DeviceEntry> list() throws IOException {
        if (driverMinor < 0) {
            version();
        }
        DmIoctl io = DmCall.of("names", DmCommand.LIST_DEVICES, DeviceId.NONE).run(control);
        return DeviceEntry.decode(io, driverMinor >= MINOR_WITH_EVENTS);
    }

    public boolean exists(DeviceId device) throws IOException {
        return infoCall(device).runIfThere(control) != null;
    }

    private static DmCall infoCall(DeviceId device) {
        return DmCall.of("info", DmCommand.DEV_STATUS, device);
    }

    /** The device's state: the header of DEV_STATUS's answer. */
    public DmIoctl info(DeviceId device) throws IOException {
        return infoCall(device).run(control);
    }

    /** The live table's lines; empty without one. */
    public List<TargetSpec> table(DeviceId device) throws IOException {
        return TargetSpec.decodeAnswer(DmCall.of("table", DmCommand.TABLE_STATUS, device)
                .flag(DmFlags.STATUS_TABLE, true)
                .run(control));
    }

    /** The encoded numbers of the devices beneath a table; empty without that table. */
    public List<Long> dependencies(DeviceId device, boolean ofInactive) throws IOException {
        return Dependencies.decode(DmCall.of("deps", DmCommand.TABLE_DEPS, device)
                .flag(DmFlags.QUERY_INACTIVE_TABLE, ofInactive)
                .run(control));
    }

    /** The status lines of the live table; empty without one. On an era device this commits its metadata. */
    public List<TargetSpec> status(DeviceId device) throws IOException {
        return TargetSpec.decodeAnswer(
                DmCall.of("status", DmCommand.TABLE_STATUS, device).run(control));
    }

    /** Sends a message to the target at {@code sector}; returns its answer, or null when it has none. */
    public String message(DeviceId device, long sector, String text) throws IOException {
        return message(device, sector, text, 0);
    }

    /** {@code answerBytes}: how long the answer may be, of what is not to be done twice. */
    private String message(DeviceId device, long sector, String text, int answerBytes) throws IOException {
        DmIoctl io = DmCall.of("message", DmCommand.TARGET_MSG, device)
                .message(sector, text)
                .room(answerBytes)
                .run(control);
        return io.has(DmFlags.DATA_OUT) ? TextPayload.decode(io) : null;
    }

    /** Begins a new era on the device's era target, and returns it: every write from now on has it, or a later one. */
    public long checkpoint(DeviceId device) throws IOException {
        TargetSpec target = eraTarget(table(device), device);
        message(device, target.startSector(), "checkpoint");
        return eraStatus(device).currentEra();
    }

    /**
     * A view of a device of an engine.
     *
     * @param name of the view
     * @param era the one that began with it: what was written since has this one, or a later one
     */
    public record View(String name, long era) {}

    /**
     * Freezes era devices of an engine at one moment.
     *
     * @param folder where the engine keeps what is overwritten
     * @param lockFileSystems whether file systems on their nodes are frozen for the moment
     * @param uuids that the views are to have; or empty
     * @return a view of each, in the order of {@code devices}
     */
    public List<View> freeze(List<DeviceId> devices, Path folder, boolean lockFileSystems, List<String> uuids)
            throws IOException {
        StringBuilder text = new StringBuilder("@freeze ")
                .append(Words.escape(folder.toAbsolutePath().normalize().toString()))
                .append(lockFileSystems ? " lockfs" : " nolockfs");
        for (int i = 0; i < devices.size(); i++) {
            text.append(' ').append(DevNumber.text(info(devices.get(i)).dev()));
            if (!uuids.isEmpty()) {
                text.append('=').append(Words.escape(uuids.get(i)));
            }
        }
        String answer = message(devices.get(0), 0, text.toString(), devices.size() * VIEW_BYTES);
        List<View> views = new ArrayList<>();
        for (String line : answer.lines().toList()) {
            int space = line.indexOf(' ');
            views.add(new View(line.substring(space + 1), Long.parseLong(line.substring(0, space))));
        }
        return views;
    }

    /** The status of the device's era target. */
    public EraStatus eraStatus(DeviceId device) throws IOException {
        return EraStatus.parse(eraTarget(status(device), device).params());
    }

    /** The one era target among {@code lines}. */
    private static TargetSpec eraTarget(List<TargetSpec> lines, DeviceId device) throws IOException {
        List<TargetSpec> found =
                lines.stream().filter(line -> line.type().equals("era")).toList();
        if (found.size() != 1) {
            throw new IOException(device.describe().trim()
                    + (found.isEmpty() ? " has no era target" : " has several era targets: name one by its sector"));
        }
        return found.get(0);
    }

    @Override
    public void close() throws IOException {
        control.close();
    }
}
