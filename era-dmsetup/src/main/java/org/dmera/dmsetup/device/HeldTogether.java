// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Target;

/**
 * Several devices that are held at one moment.
 *
 * <p><b>Order.</b> File systems are frozen before anything is held, so that nobody is held for as long as that takes. Then
 * each device is locked and held, those on top of others first: what is under way on an upper one needs the lower one, and may
 * wait for whoever is to resume that, who needs its lock. What is done with a device that is held is done before those beneath it
 * are, because its metadata may lie on them. The moment is the one at which the last is held. Nobody else takes more than one
 * lock.
 */
final class HeldTogether {
    private final DeviceRegistry registry;
    private final List<MappedDevice> topDown;

    /** {@code devices}: each once. */
    HeldTogether(DeviceRegistry registry, List<MappedDevice> devices) throws ErrnoException {
        this.registry = registry;
        topDown = registry.topDown();
        topDown.retainAll(devices);
        if (topDown.size() != devices.size()) {
            throw new ErrnoException("one of " + devices + " is no more", Errno.ENXIO);
        }
    }

    void run(boolean freeze, OneMoment moment) throws IOException {
        Map<MappedDevice, Target> targets = new HashMap<>();
        for (MappedDevice device : topDown) {
            alone(device, () -> {
                Target target = device.life().onlyTarget();
                targets.put(device, target);
                moment.prepare(device, target);
            });
        }
        List<MappedDevice> told = new ArrayList<>();
        try {
            for (MappedDevice device : topDown) {
                told.add(device);
                alone(device, () -> freeze(device, freeze));
            }
            hold(targets, freeze, moment);
        } finally {
            for (MappedDevice device : told) {
                alone(device, device.life()::thaw);
            }
        }
    }

    private static void alone(MappedDevice device, Failures.Step step) throws IOException {
        device.life().lock();
        try {
            step.run();
        } finally {
            device.life().unlock();
        }
    }

    private static void freeze(MappedDevice device, boolean wanted) throws IOException {
        if (wanted) {
            device.life().io().freeze();
        }
    }

    private void hold(Map<MappedDevice, Target> targets, boolean freeze, OneMoment moment) throws IOException {
        Deque<MappedDevice> locked = new ArrayDeque<>();
        Deque<MappedDevice> held = new ArrayDeque<>();
        long began = System.nanoTime();
        try {
            for (MappedDevice device : topDown) {
                device.life().lock();
                locked.push(device);
                if (device.life().onlyTarget() != targets.get(device)) {
                    throw new ErrnoException(device + " has got another table", Errno.EBUSY);
                }
                // Again, for a resume may have come between.
                freeze(device, freeze);
                // One that can't be held is released again by that.
                device.life().io().hold();
                held.push(device);
                moment.held(device, targets.get(device));
            }
        } finally {
            held.forEach(device -> device.life().io().release());
            locked.forEach(device -> device.life().unlock());
        }
        registry.log().debug("held " + topDown + " together for " + (System.nanoTime() - began) / 1000 + " us");
    }
}
