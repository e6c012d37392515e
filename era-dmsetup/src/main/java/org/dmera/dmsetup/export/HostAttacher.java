// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.DeviceListener;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * Makes block devices of mapped devices: by the kernel's ublk driver where there is {@code /dev/ublk-control}, else by its NBD
 * client where there is {@code /dev/nbd0}, else by a loop device over a FUSE file. The node gets a symbolic link with the
 * device's name: {@link NodeLinks}. Nodes are kept in step with their devices: size, name, and the end.
 */
public final class HostAttacher implements Attacher, DeviceListener, Closeable {
    /** How long an engine's start waits for nodes: who looks for one in /dev can't be told to wait. */
    private static final Duration BRING_BACK = Duration.ofSeconds(10);

    private final NodeLinks links;
    private final UblkNotes ublk;
    private final LeftNodes left;
    private final SecureRandom tokens = new SecureRandom();
    private final Path nbdSocket;
    private final UnaryOperator<String> exportName;
    private final EngineLog log;
    private final Served served;
    /** Each stays until its device is gone for good: somebody may be waiting for its monitor. */
    private final Map<MappedDevice, AttachedNode> nodes = new ConcurrentHashMap<>();

    private volatile boolean closed;

    /**
     * @param folder where FUSE files are mounted; what a killed engine left there is cleaned up
     * @param nbdSocket the engine's NBD socket, for the kernel's client
     * @param exportName the export there that is for the node of the device of that name
     * @param served what nodes share with the clients of the engine's NBD server
     */
    public HostAttacher(Path folder, Path nbdSocket, UnaryOperator<String> exportName, Served served, EngineLog log) {
        this.served = served;
        this.links = new NodeLinks(folder, log::info);
        this.ublk = new UblkNotes(folder.toAbsolutePath(), log::info);
        this.nbdSocket = nbdSocket;
        this.exportName = exportName;
        this.log = log;
        this.left = new LeftNodes(ublk, links, log::info);
        links.cleanUp(ublk);
    }

    /** Does {@code use}, alone, if the device has a node; returns whether it has. */
    private boolean withNode(MappedDevice device, Failures.Use<AttachedNode> use) throws IOException {
        AttachedNode node = nodes.get(device);
        if (node == null) {
            return false;
        }
        synchronized (node) {
            boolean isThere = node.path() != null;
            if (isThere) {
                use.with(node);
            }
            return isThere;
        }
    }

    @Override
    public String attach(MappedDevice device) throws IOException {
        // Until it is done the device can't be removed: nobody would take the node away.
        device.open();
        try {
            AttachedNode node = of(device);
            synchronized (node) {
                if (node.path() == null) {
                    node.attach();
                }
                return node.path();
            }
        } finally {
            device.close();
        }
    }

    /** The device that has the node of that path, as in {@code /dev/loop0}; null for none. */
    public MappedDevice ofNode(String path) {
        return nodes.entrySet().stream()
                .filter(each -> path.equals(each.getValue().path()))
                .map(Map.Entry::getKey)
                .findFirst()
                .orElse(null);
    }

    /**
     * Another device is about to lie on this one: what the node's page cache holds is written out, which would come over what is
     * written by that one.
     *
     * @throws ErrnoException EBUSY while somebody has claimed the node, as a mount does, and that one is {@code writable}
     */
    public void layBeneath(MappedDevice device, boolean writable) throws IOException {
        if (writable) {
            makeWay(device);
        } else {
            withNode(device, AttachedNode::settle);
        }
    }

    private AttachedNode of(MappedDevice device) {
        return nodes.computeIfAbsent(device, any -> new AttachedNode(device, this, links, log));
    }

    void requireOpen(MappedDevice device) throws ErrnoException {
        if (closed) {
            throw new ErrnoException("attach " + device + ": the engine stops", Errno.ESHUTDOWN);
        }
    }

    /** What a killed engine has left of the device's node, in use again; null when there is nothing. */
    Attachment takeOver(MappedDevice device) throws IOException {
        return left.takeOver(device, served);
    }

    /** Makes a node, by the best way that there is. */
    Attachment make(MappedDevice device) throws IOException {
        if (UblkNode.isAvailable()) {
            links.makeFolder();
            try {
                return UblkNode.add(device, tokens.nextLong(), ublk, served, log::info);
            } catch (IOException e) {
                log.info("attach " + device + " by another way: " + e.getMessage());
            }
        }
        return Attachment.make(
                device.io(),
                links.file(device),
                nbdSocket,
                exportName.apply(device.name()),
                served,
                device::storage,
                log::info);
    }

    /**
     * Attaches those of {@code devices} that were attached before; who is suspended has to wait until it is resumed. The node
     * of one whose origin does not answer, or that lies on a suspended one, is not waited for: it comes when that goes on. Of
     * the nodes that a killed engine has left, those of other devices are taken away, in use or not. Theirs stay, and whoever
     * uses them waits, until they are attached; so do those of {@code unknownMinors}, of devices that can't be read, for another
     * start.
     */
    public void bringBack(List<MappedDevice> devices, Collection<Integer> unknownMinors) {
        left.wantOnly(devices.stream().filter(MappedDevice::isAttached).toList(), unknownMinors);
        List<Thread> under = new ArrayList<>();
        for (MappedDevice device : devices) {
            // The node is read while it is made, which a suspended device would not answer.
            if (device.isAttached() && device.hasLive() && !device.isSuspended()) {
                under.add(Threads.start("attach of " + device.name(), () -> appeared(device)));
            }
        }
        long deadline = System.nanoTime() + BRING_BACK.toNanos();
        for (Thread thread : under) {
            await(thread, deadline);
        }
    }

    private void await(Thread thread, long deadlineNanos) {
        try {
            TimeUnit.NANOSECONDS.timedJoin(thread, deadlineNanos - System.nanoTime());
            if (thread.isAlive()) {
                log.error(thread.getName() + " takes long, and goes on in the background");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void appeared(MappedDevice device) {
        if (device.isAttached()) {
            try {
                attach(device);
            } catch (IOException e) {
                log.error(device + " does not get its node back: " + e.getMessage());
            }
        }
    }

    @Override
    public boolean detach(MappedDevice device) throws IOException {
        return withNode(device, AttachedNode::detach) || takeLeftAway(device);
    }

    @Override
    public void beforeRemoval(MappedDevice device) throws IOException {
        if (!withNode(device, AttachedNode::writeOut)) {
            left.requireUnclaimed(device);
        }
    }

    /** Takes away what a killed engine has left, for a device that did not come back; false when there is none. */
    private boolean takeLeftAway(MappedDevice device) throws IOException {
        synchronized (of(device)) {
            return left.takeAway(device);
        }
    }

    /** What was written to it since {@link #beforeRemoval} goes to the device too. */
    @Override
    public void removing(MappedDevice device) throws IOException {
        if (!withNode(device, AttachedNode::takeAway)) {
            takeLeftAway(device);
        }
    }

    @Override
    public void makeWay(MappedDevice device) throws IOException {
        if (!withNode(device, AttachedNode::makeWay)) {
            left.requireUnclaimed(device);
        }
    }

    /** As far as that can be told: 1 when something has claimed the node, as a mount does, else 0. */
    @Override
    public int opens(MappedDevice device) {
        AttachedNode node = nodes.get(device);
        // Not under the monitor: who asks for a device's state waits for nothing.
        String path = node == null ? null : node.path();
        try {
            boolean claimed = path == null ? left.claimedOf(device) != null : NodeMounts.isClaimed(path);
            return claimed ? 1 : 0;
        } catch (IOException e) {
            log.info("who has the node of " + device.name() + " open: " + e.getMessage());
            return 0;
        }
    }

    /** Freezes the file systems on its node, or writes out what the node's page cache holds. */
    @Override
    public void suspending(MappedDevice device) throws IOException {
        withNode(device, AttachedNode::freeze);
    }

    @Override
    public void resumed(MappedDevice device) {
        follow(device, "thawing what is on the node of " + device, AttachedNode::thaw);
    }

    @Override
    public void tableChanged(MappedDevice device) {
        follow(device, "the new table of " + device + " for its node", AttachedNode::tableChanged);
    }

    @Override
    public void renamed(MappedDevice device, String oldName) {
        follow(device, "the new name of " + device + " for its node", AttachedNode::renamed);
    }

    private void follow(MappedDevice device, String what, Failures.Use<AttachedNode> use) {
        try {
            withNode(device, use);
        } catch (IOException e) {
            log.error(what, e);
        }
    }

    @Override
    public void disappeared(MappedDevice device) {
        nodes.remove(device);
    }

    @Override
    public void close() throws IOException {
        // From now on an attachment that is under way gives up by itself; it may be waiting for a device for ever.
        closed = true;
        Failures failures = new Failures();
        for (Map.Entry<MappedDevice, AttachedNode> each : nodes.entrySet()) {
            // One that is not there yet may be waiting under its monitor.
            if (each.getValue().path() != null) {
                failures.run(() -> withNode(each.getKey(), AttachedNode::letGo));
            }
        }
        failures.throwFirst();
    }
}
