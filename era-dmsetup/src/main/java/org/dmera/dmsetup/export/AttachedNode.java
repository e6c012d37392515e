// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Failures;

/**
 * The node of a device that has one, or had one: how it comes, what becomes of it while the device changes, and how it goes.
 * Whoever calls holds its monitor, but for {@link #path}: what is done with one node may wait for a device beneath that is
 * suspended, and holds up no other.
 */
final class AttachedNode {
    private final MappedDevice device;
    private final HostAttacher host;
    private final NodeLinks links;
    private final EngineLog log;
    /** Null without a node. */
    private volatile Attachment attachment;
    /** Names the node. */
    private Path link;
    /** What the node's page cache held could not be written out, and whoever asked for that was told so. */
    private boolean lossReported;
    /** Null when nothing on the node is frozen. */
    private FrozenNode frozen;

    AttachedNode(MappedDevice device, HostAttacher host, NodeLinks links, EngineLog log) {
        this.device = device;
        this.host = host;
        this.links = links;
        this.log = log;
    }

    /** The node's path, null when there is none. Waits for nothing. */
    String path() {
        Attachment now = attachment;
        return now == null ? null : now.node();
    }

    /** Makes the node, or takes over the one that a killed engine has left. */
    void attach() throws IOException {
        Attachment before = host.takeOver(device);
        Attachment made = before == null ? host.make(device) : before;
        link = Failures.takingBack(made::abandon, () -> {
            host.requireOpen(device);
            return links.make(device, made.node());
        });
        lossReported = false;
        attachment = made;
        try {
            // Again, now that whoever closes finds it if this look came too early.
            host.requireOpen(device);
        } catch (ErrnoException e) {
            Failures.after(e, this::letGo);
            throw e;
        }
        log.info("attached " + device.name() + " as " + path() + ", " + link);
        if (before != null) {
            try {
                // The engine that was killed may not have got as far as having the node follow its device's new table.
                tableChanged();
            } catch (IOException e) {
                log.info("attach " + device.name() + ": " + e.getMessage());
            }
        }
    }

    /** Takes the node away, if nobody has claimed it. */
    void detach() throws IOException {
        requireRunning();
        attachment.requireUnclaimed();
        takeAway();
    }

    /** Writes out what its page cache holds; fails when somebody has claimed it. */
    void writeOut() throws IOException {
        requireRunning();
        attachment.requireUnclaimed();
        sync();
    }

    /** As {@link #writeOut}, but that of a suspended device stays as it is. */
    void makeWay() throws IOException {
        attachment.requireUnclaimed();
        settle();
    }

    /** Writes out what its page cache holds, unless the device is suspended. */
    void settle() throws IOException {
        if (!device.isSuspended()) {
            sync();
        }
    }

    void takeAway() throws IOException {
        requireRunning();
        attachment.detach(this::sync);
        gone();
    }

    private void requireRunning() throws ErrnoException {
        if (device.isSuspended()) {
            // What is in the node's page cache can't be written out, and must not be lost.
            throw new ErrnoException("detach " + device + ", which is suspended", Errno.EBUSY);
        }
    }

    private void gone() {
        String node = path();
        attachment = null;
        try {
            links.remove(device, link, node);
        } catch (IOException e) {
            log.info("link " + link + ": " + e.getMessage());
        }
        log.info("detached " + device.name() + " from " + node);
    }

    /** Fails once: then what could not be written out is lost, and the node may go. */
    private void sync() throws IOException {
        if (lossReported) {
            return;
        }
        try {
            attachment.sync();
        } catch (IOException e) {
            lossReported = true;
            log.info(
                    "detach " + device.name() + ": what " + path() + " had not written yet is lost: " + e.getMessage());
            throw e;
        }
    }

    /**
     * Freezes the file systems on it, or writes out what its page cache holds, unless that was done. It is noted before:
     * whoever comes after a kill in between thaws what may be frozen.
     */
    void freeze() throws IOException {
        if (frozen != null) {
            return;
        }
        boolean mounted = !NodeMounts.fileSystems(path()).isEmpty();
        if (mounted) {
            note(true);
        }
        try {
            frozen = FrozenNode.freeze(attachment, log::info);
        } finally {
            if (mounted == (frozen == null)) {
                note(frozen != null);
            }
        }
    }

    void thaw() {
        if (frozen != null) {
            frozen.thaw(log::info);
            frozen = null;
            note(false);
        }
    }

    private void note(boolean isFrozen) {
        try {
            links.noteFrozen(device, link, path(), isFrozen);
        } catch (IOException e) {
            // It matters only if this process is killed.
            log.info("note of what is frozen on " + path() + ": " + e.getMessage());
        }
    }

    /** Has it be as the device's table is: of its size, and for reading only or not. */
    void tableChanged() throws IOException {
        if (isReadOnly() == device.io().isReadOnly()) {
            try {
                attachment.resized();
                return;
            } catch (ErrnoException e) {
                if (!e.is(Errno.EOPNOTSUPP)) {
                    throw e;
                }
            }
        }
        // One of that kind can't change; another can take its place, if nobody has claimed it.
        try {
            attachment.detach(this::sync);
        } catch (ErrnoException busy) {
            throw new ErrnoException(path() + " stays as it is until it is attached anew", busy.errno());
        }
        gone();
        attach();
    }

    private boolean isReadOnly() throws IOException {
        Path name = Path.of(path()).getFileName();
        return Files.readString(Path.of("/sys/class/block", name.toString(), "ro"))
                .strip()
                .equals("1");
    }

    /** Has its link named as the device is, which it may be already: it was made meanwhile, or the device got its old name back. */
    void renamed() throws IOException {
        if (!link.getFileName().toString().equals(device.name())) {
            link = links.rename(device, link, path(), frozen != null);
        }
    }

    /** The device goes, in use or not: what was written by now is saved, and then it is taken from its users. */
    void letGo() throws IOException {
        thaw();
        try {
            attachment.takeAway(this::syncOrLog, line -> log.info(device.name() + ": " + line));
        } finally {
            gone();
        }
    }

    private void syncOrLog() {
        try {
            attachment.sync();
        } catch (IOException e) {
            log.info(device.name() + ": what " + path() + " had not written yet is lost: " + e.getMessage());
        }
    }
}
