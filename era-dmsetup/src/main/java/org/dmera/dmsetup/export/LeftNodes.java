// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.Collection;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Threads;

/**
 * The ublk nodes that a killed engine has left, whose users wait: each is gone on with when the device that it is of is attached,
 * or is taken away.
 */
final class LeftNodes {
    private final UblkNotes notes;
    private final NodeLinks links;
    private final Consumer<String> log;

    LeftNodes(UblkNotes notes, NodeLinks links, Consumer<String> log) {
        this.notes = notes;
        this.links = links;
        this.log = log;
    }

    /** Goes on with the device's; null when there is none. */
    Attachment takeOver(MappedDevice device, UblkNode.Serving serving) throws IOException {
        UblkNotes.Left left = notes.leftFor(device);
        if (left == null) {
            return null;
        }
        if (!left.started()) {
            notes.settled(device);
            deleteLater(left);
            return null;
        }
        UblkNode node = UblkNode.recover(device.io(), left.identity(), notes.noteOf(device), serving, log);
        notes.settled(device);
        boolean frozen = links.leftFrozen(left.minor());
        links.removeLeft(left.minor(), left.identity().node());
        if (node != null && frozen) {
            FrozenNode.thawAgain(node.node(), log);
        }
        return node;
    }

    /** Those of other devices are taken away. */
    void wantOnly(Collection<MappedDevice> devices) {
        notes.takeAllBut(devices).forEach(this::deleteLater);
    }

    /** In the background: one of which the start was broken off may keep whoever asks for ever. */
    private void deleteLater(UblkNotes.Left left) {
        String node = left.identity().node();
        Threads.start("end of " + node, () -> {
            try {
                UblkNode.delete(left.identity(), notes.noteOfOrphan(), log);
                links.removeLeft(left.minor(), node);
            } catch (IOException e) {
                log.accept("attach: " + node + ", which a killed engine left: " + e.getMessage());
            }
        });
    }

    /** The device's, or null. */
    String nodeOf(MappedDevice device) {
        UblkNotes.Left left = notes.leftFor(device);
        return left == null ? null : left.identity().node();
    }

    /** What the page cache of a node holds that nobody serves can't be written out; who has claimed it must not lose it. */
    void requireUnclaimed(MappedDevice device) throws IOException {
        String node = nodeOf(device);
        // It is not opened, which might wait for its requests.
        if (node != null && NodeMounts.isClaimed(node)) {
            throw new ErrnoException(node + ", which a killed engine left", Errno.EBUSY.number());
        }
    }

    /** Takes the device's away; false when there is none. */
    boolean takeAway(MappedDevice device) throws IOException {
        UblkNotes.Left left = notes.leftFor(device);
        if (left == null) {
            return false;
        }
        requireUnclaimed(device);
        UblkNode.delete(left.identity(), notes.noteOf(device), log);
        notes.settled(device);
        links.removeLeft(left.minor(), left.identity().node());
        return true;
    }
}
