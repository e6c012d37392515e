// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.MetadataVisitor;
import org.dmera.core.format.Superblock;

/**
 * Salvages metadata whose superblock is lost: all states that were found are laid over one another.
 *
 * <p>Marks are only ever added, and eras only ever grow, from one state to the next. So the latest era that any state
 * knows for a block is the one that the newest state knows, and it does no harm to take older states along: there is no
 * need to tell which state is the newest. The result has no writesets: the era array holds, for each block, the latest
 * era of all, as it would after digestion.
 */
final class MergedSalvage extends Salvage {
    private static final int WINDOW = SalvageLayer.WINDOW;
    /** States that the report names. */
    private static final int MOST_SHOWN = 8;

    private final List<String> remarks = new ArrayList<>();
    private final List<SalvageLayer> layers = new ArrayList<>();
    private final List<Damage> damages = new ArrayList<>();
    private final long dataBlockSizeSectors;
    private final long nrBlocks;
    private final long currentEra;
    private final int[] latest = new int[WINDOW];
    private final ByteBuffer out = ByteBuffer.allocate(WINDOW * Integer.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    private boolean allLost;

    MergedSalvage(BlockDevice device, BlockTable seen, List<RootCandidate> candidates, SalvageHints hints)
            throws IOException {
        List<Superblock> copies = new ArrayList<>();
        SharedArrays shared = new SharedArrays();
        for (RootCandidate candidate : candidates) {
            copies.addAll(candidate.copies);
            SalvageLayer layer = new SalvageLayer(device, seen, candidate, shared);
            layers.add(layer);
            damages.addAll(layer.log.kept());
            allLost |= candidate.indexBlock != 0 && !candidate.isWhole() || layer.writesetsLost;
            if (layers.size() > MOST_SHOWN) {
                continue;
            }
            remarks.add("found a state of the metadata"
                    + (candidate.indexBlock == 0 ? " (no space map)" : " under space map index " + candidate.indexBlock)
                    + ": writeset tree " + candidate.writesetTrees + ", era array " + candidate.eraArrays
                    + ", current writeset " + candidate.bitsets);
        }
        int left = candidates.size() - MOST_SHOWN;
        if (left > 0) {
            remarks.add("and " + left + " more states of the metadata");
        }
        this.dataBlockSizeSectors = blockSize(hints, copies);
        this.nrBlocks = sizeOf(hints, copies);
        this.currentEra = era(hints, copies);
        if (allLost) {
            remarks.add("part of the writesets is lost: every origin block counts as written in era " + currentEra);
        }
    }

    private static long blockSize(SalvageHints hints, List<Superblock> copies) throws IOException {
        if (hints.dataBlockSizeSectors() >= 0) {
            return hints.dataBlockSizeSectors();
        }
        for (Superblock copy : copies) {
            if (copy.dataBlockSizeSectors() > 0 && copy.dataBlockSizeSectors() % 8 == 0) {
                return copy.dataBlockSizeSectors();
            }
        }
        throw new IOException(
                "bad checksum in superblock: the size of an origin block can't be derived from the rest of"
                        + " the metadata: say what it is with --block-size (in sectors)");
    }

    private long longest() {
        long reach = -1;
        for (SalvageLayer layer : layers) {
            reach = Math.max(reach, layer.reach);
        }
        return reach;
    }

    private long sizeOf(SalvageHints hints, List<Superblock> copies) throws IOException {
        long reach = longest();
        if (hints.nrBlocks() >= 0) {
            remarkLeftOut(hints.nrBlocks(), reach, remarks);
            return hints.nrBlocks();
        }
        if (reach < 0 || reach > MOST_ORIGIN_BLOCKS) {
            throw new IOException("bad checksum in superblock, and no era array was found: say how many blocks the"
                    + " origin has with --nr-blocks");
        }
        boolean isOpenEnded = false;
        long evident = -1;
        for (SalvageLayer layer : layers) {
            isOpenEnded |= layer.isOpenEnded;
            evident = Math.max(evident, Math.max(layer.closedReach, layer.mostBits));
        }
        if (!isOpenEnded) {
            return reach;
        }
        for (Superblock copy : copies) {
            evident = Math.max(evident, copy.nrBlocks() <= MOST_ORIGIN_BLOCKS ? copy.nrBlocks() : -1);
        }
        if (evident < reach || evident > MOST_ORIGIN_BLOCKS) {
            throw new IOException(
                    "bad checksum in superblock, and the end of the era array is lost: say how many blocks"
                            + " the origin has with --nr-blocks; it has at least " + reach);
        }
        return evident;
    }

    private long era(SalvageHints hints, List<Superblock> copies) throws IOException {
        long derived = -1;
        long least = 0;
        long highestMarked = -1;
        for (SalvageLayer layer : layers) {
            derived = Math.max(derived, layer.evidentEra());
            least = Math.max(least, layer.leastEra());
            highestMarked = Math.max(highestMarked, layer.highestMarked());
        }
        for (Superblock copy : copies) {
            least = Math.max(least, copy.currentEra());
        }
        if (hints.currentEra() >= 0) {
            if (hints.currentEra() < least) {
                throw new IOException(
                        "the metadata holds era " + least + ", above --current-era " + hints.currentEra());
            }
            return hints.currentEra();
        }
        least = Math.max(least, derived);
        boolean isUnknown = derived < 0;
        for (SalvageLayer layer : layers) {
            isUnknown |= layer.isEraUnknown(highestMarked);
        }
        if (isUnknown) {
            throw new IOException("bad checksum in superblock: the current era can't be derived from the writesets that"
                    + " are left: say what it is with --current-era; it is at least " + least
                    + "; when in doubt, a higher one loses nothing");
        }
        remarks.add("the current era is taken to be " + least + ", after the last archived writeset");
        return least;
    }

    @Override
    public List<Damage> damages() {
        return damages;
    }

    @Override
    public List<String> remarks() {
        return remarks;
    }

    @Override
    public long nrBlocks() {
        return nrBlocks;
    }

    @Override
    public long currentEra() {
        return currentEra;
    }

    @Override
    public void stream(MetadataVisitor visitor) throws IOException {
        visitor.superblock(dataBlockSizeSectors, nrBlocks, currentEra);
        visitor.beginEraArray();
        long widened = 0;
        for (long first = 0; first < nrBlocks; first += WINDOW) {
            int count = (int) Math.min(WINDOW, nrBlocks - first);
            java.util.Arrays.fill(latest, allLost ? (int) currentEra : 0);
            for (int i = (int) Math.max(0, Math.min(count, longest() - first)); i < count; i++) {
                latest[i] = (int) currentEra;
                widened++;
            }
            Set<SalvageLayer.Laid> laid = new HashSet<>();
            for (SalvageLayer layer : layers) {
                widened += layer.lay(latest, first / WINDOW, count, currentEra, laid);
            }
            for (int i = 0; i < count; i++) {
                out.putInt(i * Integer.BYTES, latest[i]);
            }
            visitor.eras(first, out, 0, count);
        }
        visitor.endEraArray();
        visitor.end();
        if (widened > 0) {
            remarks.add(widened + " origin blocks of lost parts count as written");
        }
    }
}
