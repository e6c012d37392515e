// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.WritesetValue;

/** What one state of the metadata knows of marks, to be laid over what others know. */
final class SalvageLayer implements TreeWalk.Visitor {
    /** Origin blocks in one array block of a bitset; 32 array blocks of the era array hold as many eras. */
    static final int WINDOW = ArrayBlock.WORDS_PER_BLOCK * Long.SIZE;

    private static final int ERA_BLOCKS = WINDOW / ArrayBlock.ERAS_PER_BLOCK;

    /** A metadata block whose content has been laid: an array block's place, or a bitset's era, and how much of it. */
    record Laid(int block, long as, long count) {}

    private record EraMap(long length, ArrayMap map) {}

    private record Writeset(long era, long nrBits, long root, ArrayMap map) {}

    private final BlockReader reader;
    private final ByteBuffer block = BlockReader.newBuffer();
    /** What other states have laid over the present window already: most of a state is shared with the one before. */
    private Set<Laid> laid;

    private int[] latest;
    private long currentEra;

    final DamageLog log = new DamageLog();
    final boolean sure;
    /** Whether this may be the newest state, with its roots or writesets damaged: those after it damage nothing. */
    private final boolean broken;

    private final boolean whole;
    boolean writesetsLost;
    long reach = -1;
    /** How long an era array is whose end is there, or −1. */
    long closedReach = -1;
    /** Whether there is an era array whose end is lost. */
    boolean isOpenEnded;
    /** The longest bitset, in bits. */
    long mostBits = -1;

    private final BlockDevice device;
    private final BlockTable seen;
    private final SharedArrays shared;
    private final List<Writeset> writesets = new ArrayList<>();
    private final List<EraMap> eraArrays = new ArrayList<>();
    private long lastEra = -1;
    /** The one before in the same tree, or −1. */
    private long previousEra = -1;

    private boolean hasCurrent;
    /** −1 until it is asked for. */
    private long highestInArray = -1;

    /** {@code shared}: what other states have walked already; added to. */
    SalvageLayer(BlockDevice device, BlockTable seen, RootCandidate candidate, SharedArrays shared) {
        this.shared = shared;
        this.reader = new BlockReader(device, seen, new DamageLog(), new Seen(-1));
        this.device = device;
        this.seen = seen;
        this.sure = candidate.indexBlock != 0;
        this.whole = sure && candidate.isWhole();
        this.broken = candidate.broken > 0;
        for (long root : candidate.writesetTrees) {
            TreeSpec spec = new TreeSpec(Structure.WRITESET_TREE, -1, WritesetValue.BYTES, BlockTable.LIVE);
            previousEra = -1;
            new TreeWalk(fresh(log), spec, TreeWalk.newBuffers(), this).walk(root, true);
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
            reach = Math.max(reach, length);
            isOpenEnded |= known.isOpenEnded();
            closedReach = known.isOpenEnded() ? closedReach : Math.max(closedReach, length);
            eraArrays.add(new EraMap(length, map(Structure.ERA_ARRAY, -1, root, length, ArrayBlock.ERA_BYTES)));
        }
        isOpenEnded |= eraArrays.isEmpty() && broken;
        writesetsLost &= sure;
    }

    private BlockReader fresh(DamageLog log) {
        return new BlockReader(device, seen.withDoublyUsed(), log, new Seen(-1));
    }

    private SharedArrays.Length lengthOf(Structure structure, long root, int valueBytes) {
        return shared.length(root, valueBytes, () -> {
            TreeSpec spec = new TreeSpec(structure, -1, BTreeNode.BLOCK_VALUE_BYTES, BlockTable.LIVE);
            ArrayWalk walk =
                    new ArrayWalk(fresh(new DamageLog()), spec, valueBytes, TreeWalk.newBuffers(), new ArrayMap());
            walk.walk(root, 0, true);
            return new SharedArrays.Length(walk.reach(), walk.isOpenEnded());
        });
    }

    private ArrayMap map(Structure structure, long era, long root, long entries, int valueBytes) {
        return shared.map(root, valueBytes, entries, () -> {
            ArrayMap map = new ArrayMap();
            TreeSpec spec = new TreeSpec(structure, era, BTreeNode.BLOCK_VALUE_BYTES, BlockTable.LIVE);
            new ArrayWalk(fresh(log), spec, valueBytes, TreeWalk.newBuffers(), map).walk(root, entries, true);
            return map;
        });
    }

    private void addWriteset(long era, long nrBits, long root) {
        mostBits = Math.max(mostBits, nrBits);
        long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
        writesets.add(
                new Writeset(era, nrBits, root, map(Structure.WRITESET, era, root, words, ArrayBlock.WORD_BYTES)));
        if (era >= 0) {
            shared.archived(root, era);
        }
    }

    @Override
    public void entry(BTreeNode leaf, int index, boolean counted) {
        long era = leaf.key(index);
        if (era < 0 || era >= SalvageSurvey.INCREDIBLE_ERA || previousEra >= 0 && era != previousEra + 1) {
            writesetsLost = true;
            return;
        }
        previousEra = era;
        lastEra = Math.max(lastEra, era);
        int offset = leaf.valueOffset(index);
        addWriteset(era, WritesetValue.nrBits(leaf.buffer(), offset), WritesetValue.root(leaf.buffer(), offset));
    }

    @Override
    public void lost(long from, long last) {
        writesetsLost = true;
    }

    /** The current era as far as the writeset tree tells, or −1. */
    long evidentEra() {
        return lastEra < 0 ? -1 : lastEra + (hasCurrent ? 1 : 0);
    }

    /**
     * Whether this may be the newest state, and its current era can't be told.
     *
     * @param highestMarked the highest era of which any state has a writeset with a mark
     */
    boolean isEraUnknown(long highestMarked) {
        if (!sure || broken && (!whole || writesetsLost)) {
            return true;
        }
        // All has been digested. Whoever has digested more than this state is newer.
        return lastEra < 0 && highestInArray() >= highestMarked;
    }

    /** The current era is certainly no lower. */
    long leastEra() {
        long archived = Math.max(lastEra, highestInArray());
        return whole && hasCurrent && archived >= 0 ? archived + 1 : archived;
    }

    /** The highest era whose archived writeset has a mark, or −1. */
    long highestMarked() {
        long highest = -1;
        for (int i = writesets.size() - 1; i >= 0; i--) {
            Writeset writeset = writesets.get(i);
            if (writeset.era() > highest && hasMark(writeset)) {
                highest = writeset.era();
            }
        }
        return highest;
    }

    private boolean hasMark(Writeset writeset) {
        ArrayMap map = writeset.map();
        for (long w = 0; w * WINDOW < writeset.nrBits(); w++) {
            if (map.usable(w) > 0 && reader.tryRead(map.block(w), block) == null) {
                for (int i = 0; i < map.usable(w); i++) {
                    if (block.getLong(ArrayBlock.VALUES + i * Long.BYTES) != 0) {
                        return true;
                    }
                }
            }
        }
        return false;
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
                    highest = era < SalvageSurvey.INCREDIBLE_ERA ? Math.max(highest, era) : highest;
                }
            }
        }
        highestInArray = highest;
        return highest;
    }

    /**
     * Raises {@code latest} to what this state says of the {@code count} origin blocks of window {@code w}; returns how
     * many of them are lost.
     *
     * @param laid the parts that have been laid over this window; added to
     * @param currentEra stands for what is lost, and for a current writeset whose era isn't known
     */
    long lay(int[] latest, long w, int count, long currentEra, Set<Laid> laid) {
        this.laid = laid;
        this.latest = latest;
        this.currentEra = currentEra;
        long widened = 0;
        for (EraMap eras : eraArrays) {
            // An older state may be of a smaller origin; what lies past its end is not lost.
            int end = (int) Math.min(count, eras.length() - w * WINDOW);
            for (int i = 0; i < ERA_BLOCKS && (long) i * ArrayBlock.ERAS_PER_BLOCK < end; i++) {
                widened += layEras(eras.map(), w * ERA_BLOCKS + i, i * ArrayBlock.ERAS_PER_BLOCK, end);
            }
        }
        for (Writeset writeset : writesets) {
            widened += layBits(writeset, w, count);
        }
        return widened;
    }

    private int layEras(ArrayMap map, long index, int at, int count) {
        int n = Math.min(ArrayBlock.ERAS_PER_BLOCK, count - at);
        int usable = Math.min(n, map.usable(index));
        if (usable == n && !laid.add(new Laid(map.block(index), at, n))) {
            return 0;
        }
        if (usable > 0 && reader.tryRead(map.block(index), block) != null) {
            usable = 0;
        }
        ArrayBlock array = new ArrayBlock().wrap(block, 0);
        for (int i = 0; i < usable; i++) {
            raise(at + i, Math.min(currentEra, Integer.toUnsignedLong(array.valueInt(i))));
        }
        for (int i = usable; i < n; i++) {
            raise(at + i, currentEra);
        }
        return n - usable;
    }

    private long layBits(Writeset writeset, long w, int count) {
        long bitsHere = Math.min(count, writeset.nrBits() - w * WINDOW);
        if (bitsHere <= 0) {
            return 0;
        }
        // A current writeset of one state may be an archived one of another: then its era is known.
        long era = writeset.era() >= 0 ? writeset.era() : shared.eraOf(writeset.root(), currentEra);
        long usable = Math.min(bitsHere, (long) writeset.map().usable(w) * Long.SIZE);
        if (usable == bitsHere && !laid.add(new Laid(writeset.map().block(w), era, bitsHere))) {
            return 0;
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
        for (int i = (int) usable; i < bitsHere; i++) {
            raise(i, era);
        }
        return bitsHere - usable;
    }

    private void raise(int i, long era) {
        if (Integer.compareUnsigned(latest[i], (int) era) < 0) {
            latest[i] = (int) era;
        }
    }
}
