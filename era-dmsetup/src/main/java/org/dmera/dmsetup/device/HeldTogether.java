// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.targets.Target;

/**
 * Several devices that are held at one moment.
 *
 * <p><b>Order.</b> Their locks are taken in the order of their minors, so that two of these don't wait for each other; nobody
 * else takes more than one. File systems are frozen before anything is held, for what they write out then must get through.
 * Then each is held, those on top of others first: what is under way on an upper one needs the lower one. What is done with a
 * device that is held is done before those beneath it are, because its metadata may lie on them. The moment is the one at
 * which the last is held.
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
        List<MappedDevice> byMinor = new ArrayList<>(topDown);
        byMinor.sort(Comparator.comparingInt(MappedDevice::minor));
        for (MappedDevice device : byMinor) {
            device.life().lock();
        }
        try {
            prepareAndHold(freeze, moment);
        } finally {
            for (MappedDevice device : byMinor) {
                device.life().unlock();
            }
        }
    }

    private void prepareAndHold(boolean freeze, OneMoment moment) throws IOException {
        Map<MappedDevice, Target> targets = new HashMap<>();
        for (MappedDevice device : topDown) {
            Target target = device.life().onlyTarget();
            targets.put(device, target);
            moment.prepare(device, target);
        }
        List<MappedDevice> told = new ArrayList<>();
        try {
            for (MappedDevice device : topDown) {
                told.add(device);
                if (freeze) {
                    device.life().io().freeze();
                }
            }
            hold(targets, moment);
        } finally {
            for (MappedDevice device : told) {
                device.life().thaw();
            }
        }
    }

    private void hold(Map<MappedDevice, Target> targets, OneMoment moment) throws IOException {
        Deque<MappedDevice> held = new ArrayDeque<>();
        long began = System.nanoTime();
        try {
            for (MappedDevice device : topDown) {
                // One that can't be held is released again by that.
                device.life().io().hold();
                held.push(device);
                moment.held(device, targets.get(device));
            }
        } finally {
            held.forEach(device -> device.life().io().release());
        }
        registry.log().debug("held " + topDown + " together for " + (System.nanoTime() - began) / 1000 + " us");
    }
}
