// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.ArrayWalk;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.BlockUse;
import org.dmera.core.evidence.DamageLog;
import org.dmera.core.evidence.Structure;
import org.dmera.core.evidence.TreeSpec;
import org.dmera.core.evidence.TreeWalk;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.mend.TreeSurvey;
import org.dmera.core.read.BlockVerdict;

/** What one state of the metadata knows of marks, to be laid over what others know. */
final class StateOverlay implements TreeWalk.WritesetVisitor {
    /** Origin blocks in one array block of a bitset; 32 array blocks of the era array hold as many eras. */
    static final int WINDOW = ArrayBlock.WORDS_PER_BLOCK * Long.SIZE;

    private static final int ERA_BLOCKS = WINDOW / ArrayBlock.ERAS_PER_BLOCK;

    /** A metadata block whose content has been laid: an array block's place, or a bitset's era, and how much of it. */
    record OverlaidPart(int block, long as, long count) {}

    private record EraMap(long length, ArrayMap map) {}

    private record Writeset(long era, long nrBits, ArrayMap map) {}

    private final BlockReader reader;
    private final ByteBuffer block = BlockReader.newBuffer();
    /** What other states have laid over the present window already: most of a state is shared with the one before. */
    private Set<OverlaidPart> overlaid;

    private int[] latest;
    private BitSet lost;
    private long currentEra;

    final DamageLog log = new DamageLog();
    final boolean hasSpaceMap;
    /** Whether this may be the newest state, with its roots or writesets damaged: those after it damage nothing. */
    private final boolean hasUnreadableBlocks;

    private final boolean hasAllRoots;
    boolean writesetsLost;
    long extent = -1;
    /** How long an era array is whose end is there, or −1. */
    long knownExtent = -1;
    /** Whether there is an era array whose end is lost. */
    boolean isEndUnknown;
    /** The longest bitset, in bits. */
    long mostBits = -1;

    private final BlockDevice device;
    private final BlockUse seen;
    private final SharedArrays shared;
    private final List<Writeset> writesets = new ArrayList<>();
    private final List<EraMap> eraArrays = new ArrayList<>();
    private long lastEra = -1;

    private boolean hasCurrent;
    private final UnattachedBlocks unattached;
    /** −1 until it is asked for. */
    private long highestInArray = -1;

    /** {@code shared}: what other states have walked already; added to. */
    StateOverlay(BlockDevice device, BlockUse seen, RootCandidate candidate, SharedArrays shared) {
        this.shared = shared;
        this.reader = BlockReader.quiet(device, seen);
        this.device = device;
        this.seen = seen;
        this.hasSpaceMap = candidate.isMapped;
        this.hasAllRoots = hasSpaceMap && candidate.isWhole();
        this.hasUnreadableBlocks = candidate.broken > 0;
        for (long root : candidate.writesetTrees) {
            new TreeWalk(fresh(log), TreeSpec.live(Structure.WRITESET_TREE), this).walk(root, true);
        }
        for (long root : candidate.bitsets) {
            hasCurrent = true;
            long words = lengthOf(Structure.CURRENT_WRITESET, root).entries();
            addWriteset(-1, words * Long.SIZE, root);
        }
        for (long root : candidate.eraArrays) {
            SharedArrays.Length known = lengthOf(Structure.ERA_ARRAY, root);
            long length = known.entries();
            extent = Math.max(extent, length);
            isEndUnknown |= known.isEndUnknown();
            knownExtent = known.isEndUnknown() ? knownExtent : Math.max(knownExtent, length);
            eraArrays.add(new EraMap(length, map(Structure.ERA_ARRAY, -1, root, length)));
        }
        isEndUnknown |= eraArrays.isEmpty() && hasUnreadableBlocks;
        writesetsLost &= hasSpaceMap;
        // Only a root that is lost leaves blocks behind to whose place nothing else leads.
        boolean isRootLost = candidate.unreadable > 0;
        List<Integer> blocks = new ArrayList<>(isRootLost ? candidate.unattachedEras : List.of());
        blocks.addAll(isRootLost ? candidate.unattachedWords : List.of());
        unattached = new UnattachedBlocks(reader, blocks);
        if (isRootLost && eraArrays.isEmpty() && !candidate.unattachedEras.isEmpty()) {
            extent = unattached.nrEras();
        }
    }

    private BlockReader fresh(DamageLog log) {
        return new BlockReader(device, seen.withDoublyUsed(), log, new BlockVerdict(-1));
    }

    private SharedArrays.Length lengthOf(Structure structure, long root) {
        TreeSpec spec = TreeSpec.live(structure);
        return shared.length(root, spec.entryBytes(), () -> {
            ArrayWalk walk = new ArrayWalk(fresh(new DamageLog()), spec, new ArrayMap());
            walk.walk(root, 0, true);
            return new SharedArrays.Length(walk.extent(), walk.isEndUnknown());
        });
    }

    private ArrayMap map(Structure structure, long era, long root, long entries) {
        TreeSpec spec = TreeSpec.live(structure, era);
        return shared.map(root, spec.entryBytes(), entries, () -> ArrayMap.of(fresh(log), spec, root, entries));
    }

    private void addWriteset(long era, long nrBits, long root) {
        mostBits = Math.max(mostBits, nrBits);
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        writesets.add(new Writeset(era, nrBits, map(Structure.WRITESET, era, root, words)));
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
        long archived = Math.max(lastEra, highestInArray());
        return hasAllRoots && hasCurrent && archived >= 0 ? archived + 1 : archived;
    }

    private long highestInArray() {
        if (highestInArray >= 0) {
            return highestInArray;
        }
        long highest = 0;
        ArrayBlock array = new ArrayBlock();
        for (EraMap eras : eraArrays) {
            for (long i = 0; i * ArrayBlock.ERAS_PER_BLOCK < eras.length(); i++) {
                int usable = eras.map().load(reader, i, ArrayBlock.ERAS_PER_BLOCK, block);
                array.wrap(block, 0);
                for (int e = 0; e < usable; e++) {
                    long era = Integer.toUnsignedLong(array.valueInt(e));
                    highest = era < TreeSurvey.IMPLAUSIBLE_ERA ? Math.max(highest, era) : highest;
                }
            }
        }
        highestInArray = highest;
        return highest;
    }

    /** As {@link #overlay(int[], long, int, long, Set, BitSet)}, for a single state. */
    void overlay(int[] latest, long w, int count, long currentEra) {
        overlay(latest, w, count, currentEra, new HashSet<>(), new BitSet());
    }

    /**
     * Raises {@code latest} to what this state records of the {@code count} origin blocks of window {@code w}.
     *
     * @param overlaid the parts that have been laid over this window; added to
     * @param currentEra stands for what is lost, and for a current writeset whose era isn't known
     * @param lost origin blocks of the window that count as written because a part is lost; added to
     */
    void overlay(int[] latest, long w, int count, long currentEra, Set<OverlaidPart> overlaid, BitSet lost) {
        this.overlaid = overlaid;
        this.latest = latest;
        this.currentEra = currentEra;
        this.lost = lost;
        for (EraMap eras : eraArrays) {
            // An older state may be of a smaller origin; what lies past its end is not lost.
            int end = (int) Math.min(count, eras.length() - w * WINDOW);
            for (int i = 0; i < ERA_BLOCKS && (long) i * ArrayBlock.ERAS_PER_BLOCK < end; i++) {
                overlayEras(eras.map(), w * ERA_BLOCKS + i, i * ArrayBlock.ERAS_PER_BLOCK, end);
            }
        }
        for (Writeset writeset : writesets) {
            overlayBits(writeset, w, count);
        }
        unattached.raiseByEras(latest, 0, count, currentEra);
        unattached.raiseByWords(latest, count, currentEra);
    }

    private void overlayEras(ArrayMap map, long index, int at, int count) {
        int n = Math.min(ArrayBlock.ERAS_PER_BLOCK, count - at);
        if (map.usable(index) >= n && !overlaid.add(new OverlaidPart(map.block(index), at, n))) {
            return;
        }
        int usable = map.load(reader, index, n, block);
        ArrayBlock array = new ArrayBlock().wrap(block, 0);
        for (int i = 0; i < usable; i++) {
            UnattachedBlocks.raise(latest, at + i, Math.min(currentEra, Integer.toUnsignedLong(array.valueInt(i))));
        }
        lose(at + usable, at + n, currentEra);
    }

    private void overlayBits(Writeset writeset, long w, int count) {
        long bitsHere = Math.min(count, writeset.nrBits() - w * WINDOW);
        if (bitsHere <= 0) {
            return;
        }
        // The era of an open writeset isn't written down. What the block is to another state doesn't show it, as it
        // may have been allocated again since; nor does the last archived era, for eras may have no writeset.
        long era = writeset.era() >= 0 ? writeset.era() : currentEra;
        ArrayMap map = writeset.map();
        if ((long) map.usable(w) * Long.SIZE >= bitsHere
                && !overlaid.add(new OverlaidPart(map.block(w), era, bitsHere))) {
            return;
        }
        int nrWords = map.load(reader, w, ArrayBlock.WORDS_PER_BLOCK, block);
        int usable = (int) Math.min(bitsHere, (long) nrWords * Long.SIZE);
        // Not kept: there are thousands of states.
        long[] words = new long[nrWords];
        for (int i = 0; i < nrWords; i++) {
            words[i] = block.getLong(ArrayBlock.VALUES + i * Long.BYTES);
        }
        UnattachedBlocks.raise(latest, words, usable, era);
        lose(usable, (int) bitsHere, era);
    }

    private void lose(int from, int to, long era) {
        for (int i = from; i < to; i++) {
            UnattachedBlocks.raise(latest, i, era);
            lost.set(i);
        }
    }
}
