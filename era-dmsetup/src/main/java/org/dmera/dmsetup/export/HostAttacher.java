// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
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

    /**
     * A device that has a node, or had one. Its monitor is held for whatever is done with the node: that of one device may be
     * waiting for a device beneath that is suspended, and holds up no other.
     */
    private static final class Slot {
        /** Null without a node. Changed under the monitor. */
        volatile Attachment attachment;
        /** Names the node. */
        Path link;
        /** What the node's page cache held could not be written out, and whoever asked for that was told so. */
        boolean lossReported;
        /** Null when nothing on the node is frozen. */
        FrozenNode frozen;
    }

    private final NodeLinks links;
    private final UblkNotes ublk;
    private final LeftNodes left;
    private final SecureRandom tokens = new SecureRandom();
    private final Path nbdSocket;
    private final UnaryOperator<String> exportName;
    private final EngineLog log;
    private final Served served;
    /** Each stays until its device is gone for good: somebody may be waiting for its monitor. */
    private final Map<MappedDevice, Slot> slots = new ConcurrentHashMap<>();

    private volatile boolean closed;

    /** With exports that have the names of devices. */
    public HostAttacher(Path folder, Path nbdSocket, EngineLog log) {
        this(folder, nbdSocket, UnaryOperator.identity(), new Served(), log);
    }

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

    /** What is done with a device's node. */
    private interface Use {
        void with(Slot slot) throws IOException;
    }

    /** Does it, alone, if the device has a node; returns whether it has. */
    private boolean withNode(MappedDevice device, Use use) throws IOException {
        Slot slot = slots.get(device);
        if (slot == null) {
            return false;
        }
        synchronized (slot) {
            boolean hasNode = slot.attachment != null;
            if (hasNode) {
                use.with(slot);
            }
            return hasNode;
        }
    }

    @Override
    public String attach(MappedDevice device) throws IOException {
        // Until it is done the device can't be removed: nobody would take the node away.
        device.open();
        try {
            Slot slot = slots.computeIfAbsent(device, any -> new Slot());
            synchronized (slot) {
                if (slot.attachment == null) {
                    attach(device, slot);
                }
                return slot.attachment.node();
            }
        } finally {
            device.close();
        }
    }

    private void attach(MappedDevice device, Slot slot) throws IOException {
        Attachment before = left.takeOver(device, served);
        Attachment attachment = before == null ? make(device) : before;
        try {
            requireOpen(device);
            slot.link = links.make(device, attachment.node());
        } catch (IOException | RuntimeException | Error e) {
            Failures.after(e, attachment::abandon);
            throw e;
        }
        slot.lossReported = false;
        slot.attachment = attachment;
        try {
            // Again, now that close finds it if this look came too early.
            requireOpen(device);
        } catch (ErrnoException e) {
            Failures.after(e, () -> letGo(device, slot));
            throw e;
        }
        log.info("attached " + device.name() + " as " + attachment.node() + ", " + slot.link);
        if (before != null) {
            try {
                // The engine that was killed may not have got as far as giving the node its device's new size.
                resized(device, slot);
            } catch (IOException e) {
                log.info("attach " + device.name() + ": " + e.getMessage());
            }
        }
    }

    private void requireOpen(MappedDevice device) throws ErrnoException {
        if (closed) {
            throw new ErrnoException("attach " + device + ": the engine stops", Errno.ESHUTDOWN.number());
        }
    }

    private Attachment make(MappedDevice device) throws IOException {
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
     * uses them waits, until they are attached.
     */
    public void bringBack(List<MappedDevice> devices) {
        left.wantOnly(devices.stream().filter(MappedDevice::isAttached).toList());
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
        boolean hadNode = withNode(device, slot -> {
            requireRunning(device);
            NodeMounts.requireUnclaimed(slot.attachment.node());
            takeAway(device, slot);
        });
        return hadNode || takeLeftAway(device);
    }

    @Override
    public void beforeRemoval(MappedDevice device) throws IOException {
        if (!withNode(device, slot -> writeOut(device, slot))) {
            left.requireUnclaimed(device);
        }
    }

    /** Takes away what a killed engine has left, for a device that did not come back; false when there is none. */
    private boolean takeLeftAway(MappedDevice device) throws IOException {
        Slot slot = slots.computeIfAbsent(device, any -> new Slot());
        synchronized (slot) {
            return left.takeAway(device);
        }
    }

    private void writeOut(MappedDevice device, Slot slot) throws IOException {
        requireRunning(device);
        NodeMounts.requireUnclaimed(slot.attachment.node());
        sync(device, slot);
    }

    /** What was written to it since {@link #beforeRemoval} goes to the device too. */
    @Override
    public void removing(MappedDevice device) throws IOException {
        if (!withNode(device, slot -> takeAway(device, slot))) {
            takeLeftAway(device);
        }
    }

    private void takeAway(MappedDevice device, Slot slot) throws IOException {
        requireRunning(device);
        // Who closed it since that was done last may have left something in its page cache.
        sync(device, slot);
        slot.attachment.detach();
        gone(device, slot);
    }

    private static void requireRunning(MappedDevice device) throws ErrnoException {
        if (device.isSuspended()) {
            // What is in the node's page cache can't be written out, and must not be lost.
            throw new ErrnoException("detach " + device + ", which is suspended", Errno.EBUSY.number());
        }
    }

    private void gone(MappedDevice device, Slot slot) {
        String node = slot.attachment.node();
        slot.attachment = null;
        try {
            links.remove(device, slot.link, node);
        } catch (IOException e) {
            log.info("link " + slot.link + ": " + e.getMessage());
        }
        log.info("detached " + device.name() + " from " + node);
    }

    @Override
    public void makeWay(MappedDevice device) throws IOException {
        boolean hasNode = withNode(device, slot -> {
            NodeMounts.requireUnclaimed(slot.attachment.node());
            if (!device.isSuspended()) {
                writeOut(device, slot);
            }
        });
        if (!hasNode) {
            left.requireUnclaimed(device);
        }
    }

    /** Fails once: then what could not be written out is lost, and the node may go. */
    private void sync(MappedDevice device, Slot slot) throws IOException {
        if (slot.lossReported) {
            return;
        }
        try {
            slot.attachment.sync();
        } catch (IOException e) {
            slot.lossReported = true;
            log.info("detach " + device.name() + ": what " + slot.attachment.node() + " had not written yet is lost: "
                    + e.getMessage());
            throw e;
        }
    }

    /** As far as that can be told: 1 when something has claimed the node, as a mount does, else 0. */
    @Override
    public int opens(MappedDevice device) {
        Slot slot = slots.get(device);
        // Not under the monitor: who asks for a device's state waits for nothing.
        Attachment attachment = slot == null ? null : slot.attachment;
        try {
            boolean claimed =
                    attachment == null ? left.claimedOf(device) != null : NodeMounts.isClaimed(attachment.node());
            return claimed ? 1 : 0;
        } catch (IOException e) {
            log.info("who has the node of " + device.name() + " open: " + e.getMessage());
            return 0;
        }
    }

    /** Freezes the file systems on its node, or writes out what the node's page cache holds. */
    @Override
    public void suspending(MappedDevice device) throws IOException {
        withNode(device, slot -> {
            if (slot.frozen == null) {
                freeze(device, slot);
            }
        });
    }

    /** It is noted before: whoever comes after a kill in between thaws what may be frozen. */
    private void freeze(MappedDevice device, Slot slot) throws IOException {
        boolean mounted = !NodeMounts.fileSystems(slot.attachment.node()).isEmpty();
        if (mounted) {
            note(device, slot, true);
        }
        try {
            slot.frozen = FrozenNode.freeze(slot.attachment, log::info);
        } finally {
            if (mounted == (slot.frozen == null)) {
                note(device, slot, slot.frozen != null);
            }
        }
    }

    @Override
    public void resumed(MappedDevice device) {
        try {
            withNode(device, slot -> thaw(device, slot));
        } catch (IOException e) {
            throw new IllegalStateException("thawing throws nothing", e);
        }
    }

    private void thaw(MappedDevice device, Slot slot) {
        if (slot.frozen != null) {
            slot.frozen.thaw(log::info);
            slot.frozen = null;
            note(device, slot, false);
        }
    }

    private void note(MappedDevice device, Slot slot, boolean frozen) {
        try {
            links.noteFrozen(device, slot.link, slot.attachment.node(), frozen);
        } catch (IOException e) {
            // It matters only if this process is killed.
            log.info("note of what is frozen on " + slot.attachment.node() + ": " + e.getMessage());
        }
    }

    @Override
    public void tableChanged(MappedDevice device) {
        try {
            withNode(device, slot -> resized(device, slot));
        } catch (IOException e) {
            log.error("the new size of " + device + " for its node", e);
        }
    }

    private void resized(MappedDevice device, Slot slot) throws IOException {
        try {
            slot.attachment.resized();
        } catch (ErrnoException e) {
            if (!e.is(Errno.EOPNOTSUPP)) {
                throw e;
            }
            // One of that kind can't change; another can take its place, if nobody has claimed it.
            try {
                slot.attachment.detach();
            } catch (ErrnoException busy) {
                throw new ErrnoException(
                        slot.attachment.node() + " keeps its size until it is attached anew", busy.errno());
            }
            gone(device, slot);
            attach(device, slot);
        }
    }

    @Override
    public void renamed(MappedDevice device, String oldName) {
        try {
            withNode(
                    device,
                    slot -> slot.link = links.rename(device, slot.link, slot.attachment.node(), slot.frozen != null));
        } catch (IOException e) {
            log.error("the new name of " + device + " for its node", e);
        }
    }

    @Override
    public void disappeared(MappedDevice device) {
        slots.remove(device);
    }

    @Override
    public void close() throws IOException {
        // From now on an attachment that is under way gives up by itself; it may be waiting for a device for ever.
        closed = true;
        IOException failed = null;
        for (Map.Entry<MappedDevice, Slot> each : slots.entrySet()) {
            if (each.getValue().attachment != null) {
                try {
                    withNode(each.getKey(), slot -> letGo(each.getKey(), slot));
                } catch (IOException e) {
                    failed = e;
                }
            }
        }
        if (failed != null) {
            throw failed;
        }
    }

    /** The device goes, in use or not: what was written by now is saved, and then it is taken from its users. */
    private void letGo(MappedDevice device, Slot slot) throws IOException {
        String node = slot.attachment.node();
        thaw(device, slot);
        try {
            slot.attachment.sync();
        } catch (IOException e) {
            log.info(device.name() + ": what " + node + " had not written yet is lost: " + e.getMessage());
        }
        try {
            slot.attachment.takeAway(line -> log.info(device.name() + ": " + line));
        } finally {
            gone(device, slot);
        }
    }
}
