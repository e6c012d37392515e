// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.MetadataVisitor;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/**
 * Salvages metadata whose superblock is lost: all states that were found are laid over one another.
 *
 * <p>Marks are only ever added, and eras only ever grow, from one state to the next. So the latest era that any state
 * knows for a block is the one that the newest state knows, and it does no harm to take older states along: there is no
 * need to tell which state is the newest. The result has no writesets: the era array holds, for each block, the latest
 * era of all, as it would after digestion.
 */
final class MergedSalvage extends Salvage {
    /** Origin blocks in one array block of a bitset; 32 array blocks of the era array hold as many eras. */
    private static final int WINDOW = ArrayBlock.WORDS_PER_BLOCK * Long.SIZE;

    private static final int ERA_BLOCKS = WINDOW / ArrayBlock.ERAS_PER_BLOCK;

    private final BlockReader reader;
    private final List<String> remarks = new ArrayList<>();
    private final List<Layer> layers = new ArrayList<>();
    private final List<Damage> damages = new ArrayList<>();
    private final long dataBlockSizeSectors;
    private final long nrBlocks;
    private final long currentEra;
    private final int[] latest = new int[WINDOW];
    private final ByteBuffer block = BlockReader.newBuffer();
    private final ByteBuffer out = ByteBuffer.allocate(WINDOW * Integer.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    private boolean allLost;

    MergedSalvage(
            BlockDevice device,
            BlockTable seen,
            List<RootCandidate> candidates,
            List<Superblock> copies,
            SalvageHints hints)
            throws IOException {
        this.reader = new BlockReader(device, seen, new DamageLog(), new Seen(-1));
        for (RootCandidate candidate : candidates) {
            Layer layer = new Layer(device, seen, candidate);
            layers.add(layer);
            damages.addAll(layer.log.kept());
            allLost |= candidate.indexBlock != 0 && !candidate.isWhole() || layer.writesetsLost;
            remarks.add("found a state of the metadata"
                    + (candidate.indexBlock == 0 ? " (no space map)" : " under space map index " + candidate.indexBlock)
                    + ": writeset tree " + candidate.writesetTrees + ", era array " + candidate.eraArrays
                    + ", current writeset " + candidate.bitsets);
        }
        this.dataBlockSizeSectors = blockSize(hints, copies);
        this.nrBlocks = sizeOf(hints);
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
        for (Layer layer : layers) {
            reach = Math.max(reach, layer.reach);
        }
        return reach;
    }

    private long sizeOf(SalvageHints hints) throws IOException {
        long reach = longest();
        if (hints.nrBlocks() >= 0) {
            return hints.nrBlocks();
        }
        if (reach < 0 || reach > MOST_ORIGIN_BLOCKS) {
            throw new IOException("bad checksum in superblock, and no era array was found: say how many blocks the"
                    + " origin has with --nr-blocks");
        }
        return reach;
    }

    private long era(SalvageHints hints, List<Superblock> copies) throws IOException {
        long derived = -1;
        long least = 0;
        for (Layer layer : layers) {
            derived = Math.max(derived, layer.evidentEra());
            least = Math.max(least, layer.highestInArray());
        }
        for (Superblock copy : copies) {
            least = Math.max(least, copy.currentEra());
        }
        least = Math.max(least, derived);
        if (hints.currentEra() >= 0) {
            if (hints.currentEra() < least) {
                throw new IOException(
                        "the metadata holds era " + least + ", above --current-era " + hints.currentEra());
            }
            return hints.currentEra();
        }
        if (derived < 0) {
            throw new IOException("bad checksum in superblock: no writeset is left from which the current era could be"
                    + " derived: say what it is with --current-era; it is at least " + least);
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
            for (Layer layer : layers) {
                widened += layer.lay(first / WINDOW, count);
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

    private void raise(int i, long era) {
        if (Integer.compareUnsigned(latest[i], (int) era) < 0) {
            latest[i] = (int) era;
        }
    }

    private record EraMap(long length, ArrayMap map) {}

    private record Writeset(long era, long nrBits, long root, ArrayMap map) {}

    /** One state. */
    private final class Layer implements TreeWalk.Visitor {
        final DamageLog log = new DamageLog();
        final boolean sure;
        boolean writesetsLost;
        long reach = -1;

        private final BlockDevice device;
        private final BlockTable seen;
        private final List<Writeset> writesets = new ArrayList<>();
        private final List<EraMap> eraArrays = new ArrayList<>();
        private long lastEra = -1;
        private boolean hasCurrent;

        Layer(BlockDevice device, BlockTable seen, RootCandidate candidate) {
            this.device = device;
            this.seen = seen;
            this.sure = candidate.indexBlock != 0;
            for (long root : candidate.writesetTrees) {
                TreeSpec spec = new TreeSpec(Structure.WRITESET_TREE, -1, WritesetValue.BYTES, BlockTable.LIVE);
                new TreeWalk(fresh(log), spec, TreeWalk.newBuffers(), this).walk(root, true);
            }
            for (long root : candidate.bitsets) {
                hasCurrent = true;
                addWriteset(-1, lengthOf(Structure.CURRENT_WRITESET, root, ArrayBlock.WORD_BYTES) * Long.SIZE, root);
            }
            for (long root : candidate.eraArrays) {
                long length = lengthOf(Structure.ERA_ARRAY, root, ArrayBlock.ERA_BYTES);
                reach = Math.max(reach, length);
                eraArrays.add(new EraMap(length, map(Structure.ERA_ARRAY, -1, root, length, ArrayBlock.ERA_BYTES)));
            }
            writesetsLost &= sure;
        }

        private BlockReader fresh(DamageLog log) {
            return new BlockReader(device, seen.withDoublyUsed(), log, new Seen(-1));
        }

        private long lengthOf(Structure structure, long root, int valueBytes) {
            TreeSpec spec = new TreeSpec(structure, -1, BTreeNode.BLOCK_VALUE_BYTES, BlockTable.LIVE);
            ArrayWalk walk =
                    new ArrayWalk(fresh(new DamageLog()), spec, valueBytes, TreeWalk.newBuffers(), new ArrayMap());
            walk.walk(root, 0, true);
            return walk.reach();
        }

        private ArrayMap map(Structure structure, long era, long root, long entries, int valueBytes) {
            ArrayMap map = new ArrayMap();
            TreeSpec spec = new TreeSpec(structure, era, BTreeNode.BLOCK_VALUE_BYTES, BlockTable.LIVE);
            new ArrayWalk(fresh(log), spec, valueBytes, TreeWalk.newBuffers(), map).walk(root, entries, true);
            return map;
        }

        private void addWriteset(long era, long nrBits, long root) {
            long words = (nrBits + Long.SIZE - 1) / Long.SIZE;
            writesets.add(
                    new Writeset(era, nrBits, root, map(Structure.WRITESET, era, root, words, ArrayBlock.WORD_BYTES)));
        }

        @Override
        public void entry(BTreeNode leaf, int index, boolean counted) {
            long era = leaf.key(index);
            if (era < 0 || era >= SalvageSurvey.INCREDIBLE_ERA || lastEra >= 0 && era != lastEra + 1) {
                writesetsLost = true;
                return;
            }
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

        long highestInArray() {
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
            return highest;
        }

        /** Raises {@link #latest} to what this state says of window {@code w}; returns how much of it is lost. */
        long lay(long w, int count) {
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
            long era = writeset.era() >= 0 ? writeset.era() : eraOf(writeset.root());
            long usable = Math.min(bitsHere, (long) writeset.map().usable(w) * Long.SIZE);
            if (usable > 0 && reader.tryRead(writeset.map().block(w), block) != null) {
                usable = 0;
            }
            for (int i = 0; i < usable; i++) {
                if ((block.getLong(ArrayBlock.VALUES + (i >> 6) * Long.BYTES) & 1L << i) != 0) {
                    raise(i, era);
                }
            }
            for (int i = (int) usable; i < bitsHere; i++) {
                raise(i, era);
            }
            return bitsHere - usable;
        }

        /** A current writeset of one state may be an archived one of another: then its era is known. */
        private long eraOf(long root) {
            for (Layer other : layers) {
                for (Writeset archived : other.writesets) {
                    if (archived.root() == root && archived.era() >= 0) {
                        return archived.era();
                    }
                }
            }
            return currentEra;
        }
    }
}
