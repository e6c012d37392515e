// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.DeviceRegistry;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.device.OneMoment;
import org.dmera.dmsetup.device.ShutdownSteps;
import org.dmera.dmsetup.ioctl.DmIoctl;
import org.dmera.dmsetup.ioctl.TargetSpec;
import org.dmera.dmsetup.targets.CowFile;
import org.dmera.dmsetup.targets.EraTarget;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.FrozenTarget;
import org.dmera.dmsetup.targets.FrozenView;
import org.dmera.dmsetup.targets.Target;

/**
 * Freezes era devices: views of what all of them held at one moment, each a mapped device called {@code DEVICE@ERA}, where
 * ERA is the era that began then.
 *
 * <p>First what may fail: the files for the copies. Then the devices are held, and for each an era and a view begin, which
 * takes as long as a commit of metadata. When they go on, what was written by then is synced, as with every new era; and only
 * then the views become devices. All of it happens, or no view is left; the new eras stay.
 */
record Freezer(DeviceRegistry registry) {
    private static final String LOCK_FILE_SYSTEMS = "lockfs";
    private static final String LEAVE_FILE_SYSTEMS = "nolockfs";

    /** What is to be frozen: a device, and the uuid that its view is to have, empty for none. */
    private record Wish(MappedDevice device, String uuid) {}

    private record Frozen(EraTarget target, FrozenView view) {}

    /**
     * Answers {@code @freeze FOLDER lockfs|nolockfs MAJOR:MINOR[=UUID]...}: a line for each device, in that order, with the
     * new era and the name of the view.
     */
    String freeze(List<String> arguments) throws IOException {
        try {
            return freezeAll(arguments);
        } catch (IOException e) {
            // The client gets the errno alone.
            registry.log().error("freeze: " + e.getMessage());
            throw e;
        }
    }

    private String freezeAll(List<String> arguments) throws IOException {
        if (arguments.size() < 3
                || !List.of(LOCK_FILE_SYSTEMS, LEAVE_FILE_SYSTEMS).contains(arguments.get(1))) {
            throw invalid("expected FOLDER lockfs|nolockfs MAJOR:MINOR[=UUID]...");
        }
        Path folder = NativeText.path(arguments.get(0));
        if (!folder.isAbsolute()) {
            throw invalid(folder + ": expected an absolute path");
        }
        List<Wish> wishes = new ArrayList<>();
        for (String word : arguments.subList(2, arguments.size())) {
            Wish wish = wish(word);
            if (wishes.stream().anyMatch(other -> other.device.equals(wish.device))) {
                throw invalid(wish.device + " is named twice");
            }
            wishes.add(wish);
        }
        return freeze(wishes, folder, arguments.get(1).equals(LOCK_FILE_SYSTEMS));
    }

    private Wish wish(String word) throws ErrnoException {
        int equals = word.indexOf('=');
        String number = equals < 0 ? word : word.substring(0, equals);
        MappedDevice device = RegistryExports.ofNumber(registry, number);
        if (device == null) {
            throw new ErrnoException("no device " + number, Errno.ENXIO);
        }
        return new Wish(device, equals < 0 ? "" : word.substring(equals + 1));
    }

    private static ErrnoException invalid(String reason) {
        return new ErrnoException(reason, Errno.EINVAL);
    }

    private String freeze(List<Wish> wishes, Path folder, boolean lockFileSystems) throws IOException {
        Map<MappedDevice, Frozen> frozen = new LinkedHashMap<>();
        List<MappedDevice> made = new ArrayList<>();
        try {
            Failures failures = new Failures();
            failures.run(() -> begin(wishes.stream().map(Wish::device).toList(), folder, lockFileSystems, frozen));
            // Also where another device has failed: the eras that have begun stay.
            frozen.values().forEach(each -> failures.run(each.target::settleEra));
            failures.throwFirst();
            StringBuilder answer = new StringBuilder();
            for (Wish wish : wishes) {
                MappedDevice view = makeDevice(wish, frozen.get(wish.device).view);
                made.add(view);
                answer.append(Integer.toUnsignedString(
                                frozen.get(wish.device).view.newEra()))
                        .append(' ')
                        .append(view.name())
                        .append('\n');
            }
            return answer.toString();
        } catch (IOException | RuntimeException | Error e) {
            ShutdownSteps undo = new ShutdownSteps(registry.log());
            made.forEach(view -> undo.run("freeze: taking " + view + " back", () -> registry.remove(view, true)));
            frozen.values().forEach(each -> undo.run("freeze: closing the file of a view", each.view::close));
            throw e;
        }
    }

    private void begin(
            List<MappedDevice> devices, Path folder, boolean lockFileSystems, Map<MappedDevice, Frozen> frozen)
            throws IOException {
        registry.atOneMoment(devices, lockFileSystems, new OneMoment() {
            @Override
            public void prepare(MappedDevice device, Target target) throws IOException {
                if (!(target instanceof EraTarget era)) {
                    throw invalid(device + " is " + TargetSpec.withArticle(target.type())
                            + " device; expected an era device");
                }
                requireRoomForName(device, era.currentEra() + 1);
                frozen.put(device, new Frozen(era, era.prepareView(CowFile.create(folder, era.viewBytes()))));
            }

            @Override
            public void held(MappedDevice device, Target target) throws IOException {
                Frozen of = frozen.get(device);
                of.target.freeze(of.view);
            }
        });
    }

    /** No era is to begin for a view that can't be. */
    private static void requireRoomForName(MappedDevice device, int era) throws ErrnoException {
        String name = name(device, era);
        if (NativeText.bytes(name).length >= DmIoctl.NAME_BYTES) {
            throw new ErrnoException(
                    "the view's name would be " + name + ", of more than " + (DmIoctl.NAME_BYTES - 1) + " bytes",
                    Errno.ENAMETOOLONG);
        }
    }

    private static String name(MappedDevice device, int era) {
        return device.name() + "@" + Integer.toUnsignedString(era);
    }

    private MappedDevice makeDevice(Wish wish, FrozenView view) throws IOException {
        MappedDevice device = registry.createView(
                name(wish.device, view.newEra()),
                wish.uuid,
                view.lengthBytes(),
                made -> new FrozenTarget(view, new MappedDeviceBacking(wish.device, made)));
        view.onLoss(() -> device.events().raise());
        return device;
    }
}
