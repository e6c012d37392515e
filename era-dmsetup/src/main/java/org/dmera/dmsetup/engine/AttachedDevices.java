// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.dmera.dmsetup.device.DeviceListener;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.export.Attacher;
import org.dmera.dmsetup.targets.Threads;

/** Keeps attached nodes in step with their devices: size, name, and the end; and brings them back after a restart. */
final class AttachedDevices implements DeviceListener {
    /** How long an engine's start waits for nodes: who looks for one in /dev can't be told to wait. */
    private static final Duration WAIT = Duration.ofSeconds(10);

    private final Attacher attacher;
    private final EngineLog log;

    AttachedDevices(Attacher attacher, EngineLog log) {
        this.attacher = attacher;
        this.log = log;
    }

    /**
     * Attaches those of {@code devices} that were attached before; who is suspended has to wait until it is resumed. The node
     * of one whose origin does not answer, or that lies on a suspended one, is not waited for: it comes when that goes on.
     */
    void bringBack(List<MappedDevice> devices) {
        attacher.wantOnly(devices.stream().filter(MappedDevice::isAttached).toList());
        List<Thread> under = new ArrayList<>();
        for (MappedDevice device : devices) {
            // The node is read while it is made, which a suspended device would not answer.
            if (device.isAttached() && device.hasLive() && !device.isSuspended()) {
                under.add(Threads.start("attach of " + device.name(), () -> appeared(device)));
            }
        }
        long deadline = System.nanoTime() + WAIT.toNanos();
        for (Thread thread : under) {
            await(thread, deadline);
        }
    }

    private void await(Thread thread, long deadlineNanos) {
        try {
            while (thread.isAlive()) {
                long left = TimeUnit.NANOSECONDS.toMillis(deadlineNanos - System.nanoTime());
                if (left <= 0) {
                    log.error(thread.getName() + " takes long, and goes on in the background");
                    return;
                }
                thread.join(left);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void appeared(MappedDevice device) {
        if (!device.isAttached()) {
            return;
        }
        try {
            attacher.attach(device);
        } catch (IOException e) {
            log.error(device + " does not get its node back: " + e.getMessage());
        }
    }

    @Override
    public void tableChanged(MappedDevice device) {
        try {
            attacher.resized(device);
        } catch (IOException e) {
            log.error("the new size of " + device + " for its node", e);
        }
    }

    @Override
    public void renamed(MappedDevice device, String oldName) {
        try {
            attacher.renamed(device);
        } catch (IOException e) {
            log.error("the new name of " + device + " for its node", e);
        }
    }

    @Override
    public void beforeRemoval(MappedDevice device) throws IOException {
        attacher.writeOut(device);
    }

    @Override
    public void removing(MappedDevice device) throws IOException {
        attacher.takeAway(device);
    }

    @Override
    public void disappeared(MappedDevice device) {
        attacher.forget(device);
    }

    @Override
    public int opens(MappedDevice device) {
        return attacher.opens(device);
    }

    @Override
    public void suspending(MappedDevice device) throws IOException {
        attacher.freeze(device);
    }

    @Override
    public void resumed(MappedDevice device) {
        attacher.thaw(device);
    }
}
