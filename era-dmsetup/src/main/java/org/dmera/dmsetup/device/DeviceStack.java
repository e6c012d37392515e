// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Which mapped device sits on which: the order in which they are suspended. */
final class DeviceStack {
    private final DeviceRegistry registry;
    private final List<MappedDevice> devices;
    private final List<MappedDevice> order = new ArrayList<>();

    private DeviceStack(DeviceRegistry registry) {
        this.registry = registry;
        this.devices = registry.devices();
    }

    /** Every device, each after those on top of it. */
    static List<MappedDevice> topDown(DeviceRegistry registry) {
        DeviceStack stack = new DeviceStack(registry);
        stack.devices.forEach(stack::addAfterThoseAbove);
        return stack.order;
    }

    private void addAfterThoseAbove(MappedDevice device) {
        if (order.contains(device)) {
            return;
        }
        for (MappedDevice other : devices) {
            if (!other.equals(device) && sitsOn(other, device)) {
                addAfterThoseAbove(other);
            }
        }
        order.add(device);
    }

    private boolean sitsOn(MappedDevice upper, MappedDevice lower) {
        try {
            long number = ((long) registry.major() << 32) | lower.minor();
            return upper.dependencies(false).stream().anyMatch(backing -> backing.device() == number);
        } catch (IOException e) {
            registry.log().error("dependencies of " + upper, e);
            return false;
        }
    }
}
