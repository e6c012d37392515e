// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.MetadataVisitor;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.Superblock;

/**
 * Salvages metadata whose superblock is lost: all states that have not been overwritten are laid over one another.
 *
 * <p>Marks are only ever added, and eras only ever grow, so the latest era that any state knows for a block is no earlier than
 * the last state's. The era of an open writeset stands in the superblock alone: that of any state counts as of the current era.
 * Where the last state may not be among those that were found, every origin block counts as written now. The result has no
 * writesets: the era array holds the latest era of all, as it would after digestion.
 */
final class StateMerge extends Salvage {
    /** States, and roots of one, that the report names. */
    private static final int MAX_SHOWN = 3;

    private final List<StateOverlay> layers = new ArrayList<>();
    private final LostEras sizes;
    private final long dataBlockSizeSectors;
    private final EraWindow window = new EraWindow();
    private final ByteBuffer out =
            ByteBuffer.allocate(EraWindow.SIZE * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    private boolean allLost;

    /** @param hints with the size of an origin block */
    StateMerge(BlockDevice device, RootSearch search, SalvageHints hints) throws IOException {
        super(new ArrayList<>());
        List<Superblock> copies = new ArrayList<>();
        StateOverlay.Walked walked = new StateOverlay.Walked(device, search.table);
        Set<Damage> distinct = new LinkedHashSet<>();
        allLost = search.last == RootSearch.Last.LOST;
        for (RootCandidate state : search.states) {
            copies.addAll(state.copies);
            StateOverlay layer = new StateOverlay(state, walked);
            layers.add(layer);
            distinct.addAll(layer.log.kept());
            allLost |= state.isMapped && (state.areMarksAdrift() || layer.writesetsLost && state.broken != 1);
        }
        damages.addAll(DamageRanges.join(distinct));
        long extent = layers.stream().mapToLong(layer -> layer.extent).max().orElse(-1);
        this.sizes = new LostEras(layers, extent, copies, search.last == RootSearch.Last.FOUND);
        remarkOn(search);
        this.dataBlockSizeSectors = hints.dataBlockSizeSectors();
        nrBlocks = sizes.nrBlocks(hints, remarks);
        currentEra = sizes.currentEra(hints, remarks);
        if (search.last == RootSearch.Last.LOST) {
            remarks.add("the newest state of the metadata may be lost: every origin block counts as written in era "
                    + currentEra);
        } else if (allLost) {
            remarks.add("part of the writesets is lost: every origin block counts as written in era " + currentEra);
        }
    }

    /** As the constructor, where no superblock is left that says how large an origin block is: held snapshots may. */
    static StateMerge withoutSuperblock(BlockDevice device, RootSearch search, SalvageHints hints) throws IOException {
        List<Long> stored = search.states.stream()
                .flatMap(state -> state.copies.stream())
                .map(Superblock::dataBlockSizeSectors)
                .toList();
        long sectors = originBlockSize("the metadata snapshot's superblock", stored, hints.dataBlockSizeSectors());
        if (sectors < 0) {
            throw new IOException(
                    "bad checksum in superblock: the size of an origin block can't be derived from the rest of"
                            + " the metadata: say what it is with --block-size (in sectors)");
        }
        return new StateMerge(device, search, new SalvageHints(sectors, hints.nrBlocks(), hints.currentEra()));
    }

    private void remarkOn(RootSearch search) {
        List<RootCandidate> mapped =
                search.states.stream().filter(state -> state.isMapped).toList();
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
        for (long first = 0; first < nrBlocks; first += EraWindow.SIZE) {
            overlay(first, nrBlocks);
            widened += window.lost.cardinality();
            for (int i = 0; i < window.count; i++) {
                out.putInt(i * Integer.BYTES, window.latest[i]);
            }
            visitor.eras(first, out, 0, window.count);
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
        long first = block / EraWindow.SIZE * EraWindow.SIZE;
        if (window.count == 0 || first != window.first) {
            overlay(first, end);
        }
        return window.latest;
    }

    /** Makes {@link #window} that of the origin block {@code first}, in an origin of {@code end} blocks. */
    private void overlay(long first, long end) {
        int count = (int) Math.min(EraWindow.SIZE, end - first);
        window.begin(first, count, currentEra);
        int known = allLost ? 0 : (int) Math.max(0, Math.min(count, sizes.extent() - first));
        Arrays.fill(window.latest, known, count, (int) currentEra);
        if (allLost) {
            return;
        }
        window.lost.set(known, count);
        layers.forEach(layer -> layer.overlay(window, currentEra));
    }
}
