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
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Eras;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.mend.SalvageSurvey;
import org.dmera.core.read.BlockVerdict;

/** What one state of the metadata knows of marks, to be laid over what others know. */
final class StateOverlay implements TreeWalk.Visitor {
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
    /** The latest era at each place of an array block that is not known, or null. */
    private int[] unattachedEras;
    /** The same of marks. */
    private long[] unattachedWords;
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
            TreeSpec spec = TreeSpec.live(Structure.WRITESET_TREE);
            new TreeWalk(fresh(log), spec, this).walk(root, true);
        }
        for (long root : candidate.bitsets) {
            hasCurrent = true;
            long words = lengthOf(Structure.CURRENT_WRITESET, root, ArrayBlock.WORD_BYTES)
                    .entries();
            addWriteset(-1, words * Long.SIZE, root);
        }
        for (long root : candidate.eraArrays) {
            SharedArrays.Length known = lengthOf(Structure.ERA_ARRAY, root, ArrayBlock.ERA_BYTES);
            long length = known.entries();
            extent = Math.max(extent, length);
            isEndUnknown |= known.isEndUnknown();
            knownExtent = known.isEndUnknown() ? knownExtent : Math.max(knownExtent, length);
            eraArrays.add(new EraMap(length, map(Structure.ERA_ARRAY, -1, root, length, ArrayBlock.ERA_BYTES)));
        }
        isEndUnknown |= eraArrays.isEmpty() && hasUnreadableBlocks;
        writesetsLost &= hasSpaceMap;
        overlayUnattached(candidate);
    }

    /** Whichever place in an array such a block has, it says no more than all of them together. */
    private void overlayUnattached(RootCandidate candidate) {
        // Only a root that is lost leaves blocks behind to whose place nothing else leads.
        if (candidate.unreadable > 0 && !candidate.unattachedEras.isEmpty()) {
            unattachedEras = new int[ArrayBlock.ERAS_PER_BLOCK];
            for (int b : candidate.unattachedEras) {
                int n = reader.tryRead(b, block) == null ? BlockVerdict.nrEntries(reader.verdict(b)) : 0;
                for (int i = 0; i < n; i++) {
                    unattachedEras[i] =
                            Eras.later(unattachedEras[i], block.getInt(ArrayBlock.VALUES + i * Integer.BYTES));
                }
                extent = candidate.eraArrays.isEmpty() ? Math.max(0, extent) + n : extent;
            }
        }
        if (candidate.unreadable > 0 && !candidate.unattachedWords.isEmpty()) {
            unattachedWords = new long[ArrayBlock.WORDS_PER_BLOCK];
            for (int b : candidate.unattachedWords) {
                int n = reader.tryRead(b, block) == null ? BlockVerdict.nrEntries(reader.verdict(b)) : 0;
                for (int i = 0; i < n; i++) {
                    unattachedWords[i] |= block.getLong(ArrayBlock.VALUES + i * Long.BYTES);
                }
            }
        }
    }

    private BlockReader fresh(DamageLog log) {
        return new BlockReader(device, seen.withDoublyUsed(), log, new BlockVerdict(-1));
    }

    private SharedArrays.Length lengthOf(Structure structure, long root, int valueBytes) {
        return shared.length(root, valueBytes, () -> {
            TreeSpec spec = TreeSpec.live(structure, -1);
            ArrayWalk walk = new ArrayWalk(BlockReader.quiet(device, seen.withDoublyUsed()), spec, new ArrayMap());
            walk.walk(root, 0, true);
            return new SharedArrays.Length(walk.extent(), walk.isEndUnknown());
        });
    }

    private ArrayMap map(Structure structure, long era, long root, long entries, int valueBytes) {
        return shared.map(root, valueBytes, entries, () -> {
            ArrayMap map = new ArrayMap();
            TreeSpec spec = TreeSpec.live(structure, era);
            new ArrayWalk(fresh(log), spec, map).walk(root, entries, true);
            return map;
        });
    }

    private void addWriteset(long era, long nrBits, long root) {
        mostBits = Math.max(mostBits, nrBits);
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        writesets.add(new Writeset(era, nrBits, map(Structure.WRITESET, era, root, words, ArrayBlock.WORD_BYTES)));
    }

    @Override
    public void entry(BTreeNode leaf, int index, boolean counted) {
        long era = leaf.key(index);
        int offset = leaf.valueOffset(index);
        boolean isPlausible = era >= 0 && era < SalvageSurvey.IMPLAUSIBLE_ERA;
        lastEra = isPlausible ? Math.max(lastEra, era) : lastEra;
        addWriteset(
                isPlausible ? era : -1,
                WritesetValue.nrBits(leaf.buffer(), offset),
                WritesetValue.root(leaf.buffer(), offset));
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
            ArrayMap map = eras.map();
            for (long i = 0; i * ArrayBlock.ERAS_PER_BLOCK < eras.length(); i++) {
                if (map.block(i) == ArrayMap.LOST || reader.tryRead(map.block(i), block) != null) {
                    continue;
                }
                array.wrap(block, 0);
                for (int e = 0; e < map.usable(i); e++) {
                    long era = Integer.toUnsignedLong(array.valueInt(e));
                    highest = era < SalvageSurvey.IMPLAUSIBLE_ERA ? Math.max(highest, era) : highest;
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
     * Raises {@code latest} to what this state says of the {@code count} origin blocks of window {@code w}.
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
        for (int i = 0; unattachedEras != null && i < count; i++) {
            raise(i, Math.min(currentEra, Integer.toUnsignedLong(unattachedEras[i % ArrayBlock.ERAS_PER_BLOCK])));
        }
        for (int i = 0; unattachedWords != null && i < count; i++) {
            if ((unattachedWords[i / Long.SIZE] >>> i & 1) != 0) {
                raise(i, currentEra);
            }
        }
    }

    private void overlayEras(ArrayMap map, long index, int at, int count) {
        int n = Math.min(ArrayBlock.ERAS_PER_BLOCK, count - at);
        int usable = Math.min(n, map.usable(index));
        if (usable == n && !overlaid.add(new OverlaidPart(map.block(index), at, n))) {
            return;
        }
        if (usable > 0 && reader.tryRead(map.block(index), block) != null) {
            usable = 0;
        }
        ArrayBlock array = new ArrayBlock().wrap(block, 0);
        for (int i = 0; i < usable; i++) {
            raise(at + i, Math.min(currentEra, Integer.toUnsignedLong(array.valueInt(i))));
        }
        lose(at + usable, at + n, currentEra);
    }

    private void overlayBits(Writeset writeset, long w, int count) {
        long bitsHere = Math.min(count, writeset.nrBits() - w * WINDOW);
        if (bitsHere <= 0) {
            return;
        }
        // The era of an open writeset isn't written down. What another state calls the block says nothing: it may have
        // been
        // handed out again since. What the last archived era is doesn't either: eras may have no writeset.
        long era = writeset.era() >= 0 ? writeset.era() : currentEra;
        long usable = Math.min(bitsHere, (long) writeset.map().usable(w) * Long.SIZE);
        if (usable == bitsHere && !overlaid.add(new OverlaidPart(writeset.map().block(w), era, bitsHere))) {
            return;
        }
        if (usable > 0 && reader.tryRead(writeset.map().block(w), block) != null) {
            usable = 0;
        }
        for (int first = 0; first < usable; first += Long.SIZE) {
            long word = block.getLong(ArrayBlock.VALUES + first / Byte.SIZE);
            for (; word != 0; word &= word - 1) {
                int i = first + Long.numberOfTrailingZeros(word);
                if (i < usable) {
                    raise(i, era);
                }
            }
        }
        lose((int) usable, (int) bitsHere, era);
    }

    private void lose(int from, int to, long era) {
        for (int i = from; i < to; i++) {
            raise(i, era);
            lost.set(i);
        }
    }

    private void raise(int i, long era) {
        if (Integer.compareUnsigned(latest[i], (int) era) < 0) {
            latest[i] = (int) era;
        }
    }
}
