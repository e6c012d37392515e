// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.dmsetup.device.MappedDevice;
import org.dmera.dmsetup.targets.Failures;
import org.dmera.dmsetup.targets.Threads;

/**
 * The ublk nodes that a killed engine has left, whose users wait: each is gone on with when the device that it is of is attached,
 * or is taken away.
 */
record LeftNodes(UblkNotes notes, NodeLinks links, Consumer<String> log) {
    /**
     * Goes on with the device's; null when there is none. Besides the one that is in use there may be others, which were stopped
     * and somebody has still open.
     */
    Attachment takeOver(MappedDevice device, Served served) throws IOException {
        Attachment node = null;
        for (UblkNotes.Left left : withinReach(device)) {
            if (left.started() && node == null) {
                node = takeOver(device, left, served);
            } else {
                notes.settled(left);
                deleteLater(left);
            }
        }
        return node;
    }

    /** The device's: none without the driver, as after a boot, which a note may outlast. */
    private List<UblkNotes.Left> withinReach(MappedDevice device) {
        return UblkNode.isAvailable() ? notes.leftFor(device) : List.of();
    }

    private Attachment takeOver(MappedDevice device, UblkNotes.Left left, Served served) throws IOException {
        UblkNode node = UblkNode.recover(device, left.identity(), notes, served, log);
        notes.settled(left);
        orLog(left, () -> {
            if (node != null && links.leftFrozen(left.minor())) {
                FrozenNode.thawLeft(node.node(), log);
            }
            // Not before: after a kill in between nobody would know that it is frozen.
            links.removeLeft(left.minor(), left.identity().node());
        });
        return node;
    }

    /** Those of other devices are taken away, but for {@code unknownMinors}, of which nobody knows whether they are wanted. */
    void wantOnly(Collection<MappedDevice> devices, Collection<Integer> unknownMinors) {
        notes.takeAllBut(devices, unknownMinors).forEach(this::deleteLater);
    }

    /** In the background: one of which the start was broken off may keep whoever asks for ever. */
    private void deleteLater(UblkNotes.Left left) {
        // Now: a node that comes when this one is gone may have its number, and a link of that device's.
        orLog(left, () -> links.removeLeft(left.minor(), left.identity().node()));
        Threads.start("end of " + left.identity().node(), () -> orLog(left, () -> delete(left)));
    }

    private void orLog(UblkNotes.Left left, Failures.Step step) {
        try {
            step.run();
        } catch (IOException e) {
            log.accept("attach: " + left.identity().node() + ", which a killed engine left: " + e.getMessage());
        }
    }

    /** Takes it from its users, who don't wait any more for what was frozen on it: they get errors. */
    private void delete(UblkNotes.Left left) throws IOException {
        // When it is stopped, nobody can tell any more what is mounted from it; and before, thawing waits for requests,
        // too.
        try (FrozenNode mounted = FrozenNode.left(left.identity().node(), log)) {
            UblkNode.delete(left.identity(), notes, log, () -> mounted.thaw(log));
        }
    }

    /** Which of the device's somebody has claimed, or null. None is opened, which might wait for its requests. */
    String claimedOf(MappedDevice device) throws IOException {
        for (UblkNotes.Left left : notes.leftFor(device)) {
            if (NodeMounts.isClaimed(left.identity().node())) {
                return left.identity().node();
            }
        }
        return null;
    }

    /** What the page cache of a node holds that nobody serves can't be written out; who has claimed it must not lose it. */
    void requireUnclaimed(MappedDevice device) throws IOException {
        String claimed = claimedOf(device);
        if (claimed != null) {
            throw new ErrnoException(claimed + ", which a killed engine left", Errno.EBUSY);
        }
    }

    /** Takes the device's away; false when there is none. */
    boolean takeAway(MappedDevice device) throws IOException {
        requireUnclaimed(device);
        List<UblkNotes.Left> all = withinReach(device);
        for (UblkNotes.Left left : all) {
            links.removeLeft(left.minor(), left.identity().node());
            delete(left);
            notes.settled(left);
        }
        return !all.isEmpty();
    }
}
