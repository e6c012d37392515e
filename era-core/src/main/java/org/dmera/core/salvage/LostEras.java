// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.util.List;
import java.util.stream.LongStream;
import org.dmera.core.format.Limits;
import org.dmera.core.format.Superblock;

/**
 * The sizes and the current era of a lost superblock: derived from the states that are left, or asked for.
 *
 * @param extent origin blocks of which some state has an era, or −1
 * @param copies of the superblock, which held snapshots have kept
 * @param isLastFound whether the last state is among {@code layers}
 */
record LostEras(List<StateOverlay> layers, long extent, List<Superblock> copies, boolean isLastFound) {
    /** Blocks of the origin. */
    long nrBlocks(SalvageHints hints, List<String> remarks) throws IOException {
        if (hints.nrBlocks() >= 0) {
            Salvage.remarkLeftOut(hints.nrBlocks(), extent, remarks);
            return hints.nrBlocks();
        }
        if (extent <= 0 || extent > Limits.MAX_ORIGIN_BLOCKS) {
            throw new IOException("bad checksum in superblock, and no era array was found: say how many blocks the"
                    + " origin has with --nr-blocks");
        }
        if (!isLastFound) {
            throw new IOException(
                    "bad checksum in superblock, and the newest era array may be lost: say how many blocks"
                            + " the origin has with --nr-blocks; it had " + extent);
        }
        if (layers.stream().noneMatch(layer -> layer.isEndUnknown)) {
            return extent;
        }
        long evident = -1;
        for (StateOverlay layer : layers) {
            evident = Math.max(evident, Math.max(layer.knownExtent, layer.mostBits));
        }
        for (Superblock copy : copies) {
            evident = Math.max(evident, copy.nrBlocks() <= Limits.MAX_ORIGIN_BLOCKS ? copy.nrBlocks() : -1);
        }
        if (evident < extent || evident > Limits.MAX_ORIGIN_BLOCKS) {
            throw new IOException(
                    "bad checksum in superblock, and the end of the era array is lost: say how many blocks"
                            + " the origin has with --nr-blocks; it has at least " + extent);
        }
        return evident;
    }

    /**
     * The current era, which stands in the superblock alone: with nothing written, nothing of an era is left; and eras may
     * have no writeset, so that the last archived one doesn't show it.
     */
    long currentEra(SalvageHints hints, List<String> remarks) throws IOException {
        long least = LongStream.concat(
                        layers.stream().mapToLong(StateOverlay::leastEra),
                        copies.stream().mapToLong(Superblock::currentEra))
                .max()
                .orElse(0);
        if (hints.currentEra() < 0) {
            throw new IOException(
                    "bad checksum in superblock: the current era can't be derived from what is left of the"
                            + " metadata: say what it is with --current-era; it is at least " + least
                            + "; when in doubt, a higher one loses nothing");
        }
        if (hints.currentEra() >= least) {
            return hints.currentEra();
        }
        if (layers.stream().noneMatch(layer -> layer.leastEra() <= hints.currentEra())) {
            throw new IOException("the metadata holds era " + least + ", above --current-era " + hints.currentEra());
        }
        // What holds a later era may be left of a state that has been overwritten, or it may be the last one.
        remarks.add("the current era is taken to be " + least + ", not " + hints.currentEra()
                + ": what is left of the metadata holds that era");
        return least;
    }
}
