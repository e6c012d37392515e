// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Failures;

/**
 * Makes block devices of mapped devices: by the kernel's ublk driver where there is {@code /dev/ublk-control}, else by its NBD
 * client where there is {@code /dev/nbd0}, else by a loop device over a FUSE file. The node gets a symbolic link with the
 * device's name: {@link NodeLinks}.
 */
public final class HostAttacher implements Attacher {
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
    private final Consumer<String> log;
    private final Served served;
    /** Each stays until its device is gone for good: somebody may be waiting for its monitor. */
    private final Map<MappedDevice, Slot> slots = new ConcurrentHashMap<>();

    private volatile boolean closed;

    /** With exports that have the names of devices. */
    public HostAttacher(Path folder, Path nbdSocket, Consumer<String> log) {
        this(folder, nbdSocket, UnaryOperator.identity(), new Served(), log);
    }

    /**
     * @param folder where FUSE files are mounted; what a killed engine left there is cleaned up
     * @param nbdSocket the engine's NBD socket, for the kernel's client
     * @param exportName the export there that is for the node of the device of that name
     * @param served what nodes share with the clients of the engine's NBD server
     */
    public HostAttacher(
            Path folder, Path nbdSocket, UnaryOperator<String> exportName, Served served, Consumer<String> log) {
        this.served = served;
        this.links = new NodeLinks(folder, log);
        this.ublk = links.ublkNotes();
        this.nbdSocket = nbdSocket;
        this.exportName = exportName;
        this.log = log;
        this.left = new LeftNodes(ublk, links, log);
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
        Attachment before = left.takeOver(device, serving(device));
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
        log.accept("attached " + device.name() + " as " + attachment.node() + ", " + slot.link);
        if (before != null) {
            try {
                // The engine that was killed may not have got as far as giving the node its device's new size.
                resized(device, slot);
            } catch (IOException e) {
                log.accept("attach " + device.name() + ": " + e.getMessage());
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
                return UblkNode.add(device.io(), tokens.nextLong(), ublk.noteOf(device), serving(device), log);
            } catch (IOException e) {
                log.accept("attach " + device + " by another way: " + e.getMessage());
            }
        }
        return KernelNbd.isAvailable()
                ? KernelNbd.connect(nbdSocket, exportName.apply(device.name()), device.io(), log)
                : FuseLoop.over(device.io(), links.file(device), served, device::storage, log);
    }

    @Override
    public void wantOnly(Collection<MappedDevice> devices) {
        left.wantOnly(devices);
    }

    private UblkNode.Serving serving(MappedDevice device) {
        return new UblkNode.Serving(served, device::storage);
    }

    @Override
    public boolean detach(MappedDevice device) throws IOException {
        boolean hadNode = withNode(device, slot -> {
            requireRunning(device);
            requireUnclaimed(slot.attachment.node());
            takeAway(device, slot);
        });
        return hadNode || takeLeftAway(device);
    }

    @Override
    public void writeOut(MappedDevice device) throws IOException {
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
        requireUnclaimed(slot.attachment.node());
        sync(device, slot);
    }

    @Override
    public void takeAway(MappedDevice device) throws IOException {
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
            log.accept("link " + slot.link + ": " + e.getMessage());
        }
        log.accept("detached " + device.name() + " from " + node);
    }

    @Override
    public void makeWay(MappedDevice device) throws IOException {
        boolean hasNode = withNode(device, slot -> {
            requireUnclaimed(slot.attachment.node());
            if (!device.isSuspended()) {
                writeOut(device, slot);
            }
        });
        if (!hasNode) {
            left.requireUnclaimed(device);
        }
    }

    /** EBUSY when somebody has claimed it, as a mount does. Nothing is read or written for that. */
    private static void requireUnclaimed(String node) throws IOException {
        FileDescriptors.close(FileDescriptors.open(node, FileDescriptors.O_RDONLY | FileDescriptors.O_EXCL));
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
            log.accept("detach " + device.name() + ": what " + slot.attachment.node() + " had not written yet is lost: "
                    + e.getMessage());
            throw e;
        }
    }

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
            log.accept("who has the node of " + device.name() + " open: " + e.getMessage());
            return 0;
        }
    }

    @Override
    public void freeze(MappedDevice device) throws IOException {
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
            slot.frozen = FrozenNode.freeze(slot.attachment, log);
        } finally {
            if (mounted == (slot.frozen == null)) {
                note(device, slot, slot.frozen != null);
            }
        }
    }

    @Override
    public void thaw(MappedDevice device) {
        try {
            withNode(device, slot -> thaw(device, slot));
        } catch (IOException e) {
            throw new IllegalStateException("thawing throws nothing", e);
        }
    }

    private void thaw(MappedDevice device, Slot slot) {
        if (slot.frozen != null) {
            slot.frozen.thaw(log);
            slot.frozen = null;
            note(device, slot, false);
        }
    }

    private void note(MappedDevice device, Slot slot, boolean frozen) {
        try {
            links.noteFrozen(device, slot.link, slot.attachment.node(), frozen);
        } catch (IOException e) {
            // It matters only if this process is killed.
            log.accept("note of what is frozen on " + slot.attachment.node() + ": " + e.getMessage());
        }
    }

    @Override
    public void resized(MappedDevice device) throws IOException {
        withNode(device, slot -> resized(device, slot));
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
    public void renamed(MappedDevice device) throws IOException {
        withNode(
                device,
                slot -> slot.link = links.rename(device, slot.link, slot.attachment.node(), slot.frozen != null));
    }

    @Override
    public void forget(MappedDevice device) {
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
            log.accept(device.name() + ": what " + node + " had not written yet is lost: " + e.getMessage());
        }
        try {
            slot.attachment.detach();
        } catch (ErrnoException e) {
            log.accept(
                    device.name() + ": those who still use " + node + " get I/O errors from now on: " + e.getMessage());
            slot.attachment.abandon();
        } finally {
            gone(device, slot);
        }
    }
}
