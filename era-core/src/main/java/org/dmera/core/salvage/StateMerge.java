// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.Superblock;

/**
 * Salvages metadata whose superblock is lost: all states that have not been overwritten are laid over one another.
 *
 * <p>Marks are only ever added, and eras only ever grow, from one state to the next. So the latest era that any state
 * knows for a block is no earlier than the one that the last state knows, and it does no harm to take older states along.
 * The era of an open writeset stands in the superblock alone: that of any state counts as of the
 * current era. Where the last state may not be among those that were
 * found, every origin block counts as written now. The result has no writesets: the era array holds, for each block, the
 * latest era of all, as it would after digestion.
 */
final class StateMerge extends Salvage {
    private static final int WINDOW = StateOverlay.WINDOW;
    /** States, and roots of one, that the report names. */
    private static final int MAX_SHOWN = 3;

    private final List<StateOverlay> layers = new ArrayList<>();
    private final LostEras sizes;
    private final long dataBlockSizeSectors;
    private final int[] latest = new int[WINDOW];
    private final ByteBuffer out = ByteBuffer.allocate(WINDOW * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private boolean allLost;
    /** The window that {@link #latest} is of, when it is asked for by the window. */
    private long windowAt = -1;

    StateMerge(BlockDevice device, BlockUse seen, FoundStates found, SalvageHints hints) throws IOException {
        super(new ArrayList<>());
        List<Superblock> copies = new ArrayList<>();
        SharedArrays shared = new SharedArrays();
        Set<Damage> distinct = new LinkedHashSet<>();
        allLost = found.last() == FoundStates.Last.LOST;
        for (RootCandidate state : found.states()) {
            copies.addAll(state.copies);
            StateOverlay layer = new StateOverlay(device, seen, state, shared);
            layers.add(layer);
            distinct.addAll(layer.log.kept());
            allLost |= state.isMapped && (state.areMarksAdrift() || layer.writesetsLost && state.broken != 1);
        }
        damages.addAll(DamageRanges.join(distinct));
        this.sizes = new LostEras(layers, copies, found.last() == FoundStates.Last.FOUND);
        remarkOn(found);
        this.dataBlockSizeSectors = sizes.blockSize(hints);
        nrBlocks = sizes.nrBlocks(hints, remarks);
        currentEra = sizes.currentEra(hints, remarks);
        if (found.last() == FoundStates.Last.LOST) {
            remarks.add("the newest state of the metadata may be lost: every origin block counts as written in era "
                    + currentEra);
        } else if (allLost) {
            remarks.add("part of the writesets is lost: every origin block counts as written in era " + currentEra);
        }
    }

    private void remarkOn(FoundStates found) {
        List<RootCandidate> mapped =
                found.states().stream().filter(state -> state.isMapped).toList();
        if (mapped.size() > MAX_SHOWN) {
            remarks.add("found " + mapped.size() + " states of the metadata that nothing has overwritten");
            return;
        }
        for (RootCandidate state : mapped) {
            remarks.add("found a state of the metadata under "
                    + (state.indexBlock == 0 ? "a broken space map index" : "space map index " + state.indexBlock)
                    + ": writeset tree " + roots(state.writesetTrees, "lost") + ", era array "
                    + roots(state.eraArrays, "lost") + ", current writeset " + roots(state.bitsets, "none"));
        }
    }

    private static String roots(List<Long> roots, String none) {
        if (roots.isEmpty()) {
            return none;
        }
        int shown = Math.min(roots.size(), MAX_SHOWN);
        String all = roots.subList(0, shown).stream().map(String::valueOf).collect(Collectors.joining(", "));
        return roots.size() > shown ? all + " and " + (roots.size() - shown) + " more" : all;
    }

    @Override
    void send(MetadataVisitor visitor) throws IOException {
        visitor.superblock(dataBlockSizeSectors, nrBlocks, currentEra);
        visitor.beginEraArray();
        long widened = 0;
        for (long first = 0; first < nrBlocks; first += WINDOW) {
            int count = (int) Math.min(WINDOW, nrBlocks - first);
            widened += overlay(first, count);
            for (int i = 0; i < count; i++) {
                out.putInt(i * Integer.BYTES, latest[i]);
            }
            visitor.eras(first, out, 0, count);
        }
        visitor.endEraArray();
        visitor.end();
        if (widened > 0) {
            remarks.add(widened + " of " + nrBlocks
                    + " origin blocks count as written, as parts of the metadata are lost" + " that may have said so");
        }
    }

    /** The latest eras in the window of origin block {@code block}; used again for the next window. */
    int[] latest(long block, long end) {
        long first = block / WINDOW * WINDOW;
        if (first != windowAt) {
            windowAt = first;
            overlay(first, (int) Math.min(WINDOW, end - first));
        }
        return latest;
    }

    /** Returns how many of the blocks count as written because something is lost. */
    private long overlay(long first, int count) {
        Arrays.fill(latest, allLost ? (int) currentEra : 0);
        if (allLost) {
            return 0;
        }
        BitSet lost = new BitSet(count);
        int known = (int) Math.max(0, Math.min(count, sizes.extent() - first));
        Arrays.fill(latest, known, count, (int) currentEra);
        lost.set(known, count);
        Set<StateOverlay.OverlaidPart> overlaid = new HashSet<>();
        for (StateOverlay layer : layers) {
            layer.overlay(latest, first / WINDOW, count, currentEra, overlaid, lost);
        }
        return lost.cardinality();
    }
}
