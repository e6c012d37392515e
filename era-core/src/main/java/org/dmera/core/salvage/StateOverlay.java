// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.evidence.Walk;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.mend.TreeSurvey;
import org.dmera.core.read.ArrayWalker;
import org.dmera.core.read.BlockVerdict;

/** What one state of the metadata knows of marks, to be laid over what others know. */
final class StateOverlay implements Walk.WritesetVisitor {
    /** An array that was walked for that many entries, or without knowing how many it has: then −1. */
    private record WalkedArray(long root, int valueBytes, long entries) {}

    /**
     * What states have in common that were walked: a device on which the kernel has not yet come round holds thousands of them, one a
     * commit, and each differs from the one before in a few blocks.
     */
    static final class Walked {
        private final BlockDevice device;
        private final BlockUse seen;
        private final BlockReader reader;
        private final Map<WalkedArray, ArrayMap> arrays = new HashMap<>();
        private final Map<IntBuffer, int[]> pages = new HashMap<>();
        /** By array block, the highest era in it. */
        private final Map<Integer, Long> highest = new HashMap<>();

        Walked(BlockDevice device, BlockUse seen) {
            this.device = device;
            this.seen = seen;
            this.reader = BlockReader.quiet(device, seen);
        }

        private BlockReader fresh(DamageLog log) {
            return new BlockReader(device, seen.withDoublyUsed(), log, new BlockVerdict(-1));
        }
    }

    final DamageLog log = new DamageLog();
    private final boolean hasAllRoots;
    boolean writesetsLost;
    long extent = -1;
    /** How long an era array is whose end is there, or −1. */
    long knownExtent = -1;
    /** Whether there is an era array whose end is lost. */
    boolean isEndUnknown;
    /** The longest bitset, in bits. */
    long mostBits = -1;

    private final Walked walked;
    private final List<EraWindow.Part> parts = new ArrayList<>();
    private long lastEra = -1;

    private boolean hasCurrent;
    private final UnattachedBlocks unattached;
    private long highestInArray;

    /**
     * Walks what {@code candidate} leads to.
     *
     * @param walked added to
     */
    StateOverlay(RootCandidate candidate, Walked walked) {
        this.walked = walked;
        this.hasAllRoots = candidate.isMapped && candidate.isWhole();
        for (long root : candidate.writesetTrees) {
            Walk.writesets(walked.fresh(log), root, this);
        }
        for (long root : candidate.bitsets) {
            hasCurrent = true;
            long words = withoutLength(Structure.CURRENT_WRITESET, root).entries();
            addWriteset(-1, words * Long.SIZE, root);
        }
        for (long root : candidate.eraArrays) {
            ArrayWalker.Length known = withoutLength(Structure.ERA_ARRAY, root);
            long length = known.entries();
            extent = Math.max(extent, length);
            isEndUnknown |= known.isEndUnknown();
            knownExtent = known.isEndUnknown() ? knownExtent : Math.max(knownExtent, length);
            ArrayMap map = map(TreeSpec.live(Structure.ERA_ARRAY), root, length, log);
            parts.add(new EraWindow.Part(Content.ERAS, 0, length, -1, map));
            for (long i = 0; i * ArrayBlock.ERAS_PER_BLOCK < length; i++) {
                highestInArray = Math.max(highestInArray, highest(map, i));
            }
        }
        isEndUnknown |= candidate.eraArrays.isEmpty() && candidate.broken > 0;
        writesetsLost &= candidate.isMapped;
        // Only a root that is lost leaves blocks behind to whose place nothing else leads.
        boolean isRootLost = candidate.unreadable > 0;
        unattached = new UnattachedBlocks(walked.reader, isRootLost ? candidate.unattached : List.of());
        if (isRootLost && candidate.eraArrays.isEmpty() && candidate.hasUnattachedEras) {
            extent = unattached.nrEras();
        }
    }

    /** How long the array at {@code root} is. What is wrong with it shows when it is walked again. */
    private ArrayWalker.Length withoutLength(Structure structure, long root) {
        return map(TreeSpec.live(structure), root, -1, new DamageLog()).length();
    }

    private ArrayMap map(TreeSpec spec, long root, long entries, DamageLog damages) {
        return walked.arrays.computeIfAbsent(
                new WalkedArray(root, spec.entryBytes(), entries),
                array -> ArrayMap.of(walked.fresh(damages), spec, root, Math.max(0, entries))
                        .sharing(walked.pages));
    }

    private void addWriteset(long era, long nrBits, long root) {
        mostBits = Math.max(mostBits, nrBits);
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        ArrayMap map = map(TreeSpec.live(Structure.WRITESET, era), root, words, log);
        parts.add(new EraWindow.Part(Content.WORDS, 0, nrBits, era, map));
    }

    @Override
    public void writeset(long era, long nrBits, long root, boolean counted) {
        boolean isPlausible = era >= 0 && era < TreeSurvey.IMPLAUSIBLE_ERA;
        lastEra = isPlausible ? Math.max(lastEra, era) : lastEra;
        addWriteset(isPlausible ? era : -1, nrBits, root);
    }

    @Override
    public void lost(long from, long last) {
        writesetsLost = true;
    }

    /** The current era is certainly no lower. */
    long leastEra() {
        long archived = Math.max(lastEra, highestInArray);
        return hasAllRoots && hasCurrent && archived >= 0 ? archived + 1 : archived;
    }

    /** The highest era in array block {@code index}. */
    private long highest(ArrayMap map, long index) {
        return walked.highest.computeIfAbsent(map.block(index), b -> {
            ByteBuffer block = BlockReader.newBuffer();
            return TreeSurvey.highestPlausible(block, map.load(walked.reader, index, ArrayBlock.ERAS_PER_BLOCK, block));
        });
    }

    /** Lays over {@code window} what this state records; {@code currentEra}: of a current writeset, whose era isn't known. */
    void overlay(EraWindow window, long currentEra) {
        for (EraWindow.Part part : parts) {
            // The era of an open writeset isn't written down. What the block is to another state doesn't show it, as it
            // may have been allocated again since; nor does the last archived era, for eras may have no writeset.
            window.overlay(walked.reader, part, part.era() >= 0 ? part.era() : currentEra);
        }
        unattached.raiseByEras(window, 0, window.count);
        unattached.raiseByWords(window);
    }
}
