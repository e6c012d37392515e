// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DeviceEntry;

/**
 * The devices that a command shows: those that the command line names, or all. One of all may be gone before it is asked
 * about: the others are shown, and the command fails.
 *
 * @param devices in the order in which they are shown
 * @param all whether it is every device
 */
record Listing(List<DeviceId> devices, boolean all) {
    /** What to do with one device. */
    @FunctionalInterface
    interface Action {
        /** Returns false when there is no such device. */
        boolean run(DeviceId device) throws IOException;
    }

    /** The devices of a command line, or every device, with a word when there is none. */
    static Listing of(Session session, List<String> operands) throws IOException {
        List<DeviceId> devices = new ArrayList<>();
        boolean all = operands.isEmpty() && !session.deviceBySwitch();
        if (all) {
            for (DeviceEntry entry : session.devices()) {
                devices.add(DeviceId.ofName(entry.name()));
            }
        } else if (operands.isEmpty()) {
            devices.add(session.device(null));
        } else {
            for (String operand : operands) {
                devices.add(session.device(operand));
            }
        }
        return new Listing(devices, all);
    }

    /** Whether lines have to say which device they are about. */
    boolean withNames() {
        return all || devices.size() > 1;
    }

    /** Runs {@code action} on each; false when one of them did not exist. */
    boolean forEach(Session session, Action action) throws IOException {
        boolean found = true;
        for (DeviceId device : devices) {
            if (!exists(session, device, action)) {
                if (!all) {
                    return false;
                }
                found = false;
            }
        }
        return found;
    }

    private boolean exists(Session session, DeviceId device, Action action) throws IOException {
        boolean there;
        try {
            there = action.run(device);
        } catch (DmException e) {
            if (!all || !e.is(Errno.ENXIO)) {
                throw e;
            }
            there = false;
        }
        if (!there) {
            session.err()
                    .println(
                            all
                                    ? "Device does not exist: " + session.unmangle(device.name())
                                    : "Device does not exist.");
        }
        return there;
    }
}
