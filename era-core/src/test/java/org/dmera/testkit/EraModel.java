// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;
import java.util.TreeMap;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Superblock;
import org.dmera.core.format.WritesetValue;

/**
 * What era metadata means, in plain collections: the truth that the engine is held against. It can also be read from a
 * device, by code of its own that shares nothing with the engine.
 */
public final class EraModel {
    /** A set of marked blocks; bits at and past {@code nrBits} mean nothing. */
    public record Writeset(int nrBits, BitSet bits) {
        Writeset copy() {
            return new Writeset(nrBits, (BitSet) bits.clone());
        }
    }

    public long currentEra;
    public int nrBlocks;
    /** The era array. */
    public int[] array = new int[0];
    /** By era, ascending. */
    public TreeMap<Long, Writeset> archived = new TreeMap<>();
    /** Null between an archive and the next new era. */
    public Writeset current;
    /** What the held snapshot says of each block, null when none is held. */
    public int[] snapshot;

    public EraModel copy() {
        EraModel copy = new EraModel();
        copy.currentEra = currentEra;
        copy.nrBlocks = nrBlocks;
        copy.array = array.clone();
        archived.forEach((era, set) -> copy.archived.put(era, set.copy()));
        copy.current = current == null ? null : current.copy();
        copy.snapshot = snapshot == null ? null : snapshot.clone();
        return copy;
    }

    /** When each block was last written. */
    public int[] eras() {
        int[] eras = Arrays.copyOf(array, nrBlocks);
        TreeMap<Long, Writeset> all = new TreeMap<>(archived);
        if (current != null) {
            all.put(currentEra, current);
        }
        for (Map.Entry<Long, Writeset> e : all.entrySet()) {
            int end = Math.min(nrBlocks, e.getValue().nrBits());
            for (int b = e.getValue().bits().nextSetBit(0); b >= 0 && b < end; ) {
                eras[b] = e.getKey().intValue();
                b = e.getValue().bits().nextSetBit(b + 1);
            }
        }
        return eras;
    }

    public void resize(int n) {
        array = Arrays.copyOf(array, n);
        nrBlocks = n;
    }

    public void newEra() {
        current = new Writeset(nrBlocks, new BitSet());
        currentEra = currentEra + 1 & 0xffffffffL;
    }

    public void archive() {
        archived.put(currentEra, current);
        current = null;
    }

    public void rollover() {
        if (current != null) {
            archive();
        }
        newEra();
    }

    /** The lowest archived writeset goes into the array; {@code nrBits} as it was when its digestion began. */
    public void digestLowest(int nrBits) {
        Map.Entry<Long, Writeset> lowest = archived.pollFirstEntry();
        BitSet bits = lowest.getValue().bits();
        for (int b = bits.nextSetBit(0); b >= 0 && b < Math.min(nrBits, nrBlocks); b = bits.nextSetBit(b + 1)) {
            array[b] = lowest.getKey().intValue();
        }
    }

    public void takeSnapshot() {
        rollover();
        EraModel held = copy();
        held.current = null;
        snapshot = held.eras();
    }

    /** Whether both mean the same to every reader. */
    public boolean sameMeaning(EraModel other) {
        return currentEra == other.currentEra
                && nrBlocks == other.nrBlocks
                && (current == null) == (other.current == null)
                && Arrays.equals(snapshot, other.snapshot)
                && Arrays.equals(eras(), other.eras());
    }

    @Override
    public String toString() {
        return "era " + currentEra + ", " + nrBlocks + " blocks, archived " + archived.keySet() + ", current "
                + (current == null ? "none" : current.bits().cardinality() + " bits") + ", snapshot "
                + (snapshot == null ? "none" : snapshot.length + " blocks hash " + Arrays.hashCode(snapshot))
                + ", eras hash " + Arrays.hashCode(eras());
    }

    /** Reads the live metadata and the held snapshot. Blocks are taken at their word: nothing is verified. */
    public static EraModel read(BlockDevice device) throws IOException {
        Superblock sb = superblock(device, 0);
        EraModel model = roots(device, sb);
        if (sb.currentWritesetRoot() != 0) {
            model.current = writeset(device, sb.currentWritesetNrBits(), sb.currentWritesetRoot());
        }
        if (sb.metadataSnap() != 0) {
            model.snapshot =
                    roots(device, superblock(device, sb.metadataSnap())).eras();
        }
        return model;
    }

    private static EraModel roots(BlockDevice device, Superblock sb) throws IOException {
        EraModel model = new EraModel();
        model.currentEra = sb.currentEra();
        model.nrBlocks = (int) sb.nrBlocks();
        model.array = new int[model.nrBlocks];
        array(device, sb.eraArrayRoot(), (index, block) -> {
            long first = index * ArrayBlock.ERAS_PER_BLOCK;
            for (int i = 0; i < block.nrEntries() && first + i < model.nrBlocks; i++) {
                model.array[(int) first + i] = block.valueInt(i);
            }
        });
        tree(device, sb.writesetTreeRoot(), (era, node, offset) -> {
            model.archived.put(
                    era, writeset(device, WritesetValue.nrBits(node, offset), WritesetValue.root(node, offset)));
        });
        return model;
    }

    private static Writeset writeset(BlockDevice device, long nrBits, long root) throws IOException {
        long[] words = new long[(int) ((nrBits + 63) / 64)];
        array(device, root, (index, block) -> {
            int first = (int) index * ArrayBlock.WORDS_PER_BLOCK;
            for (int i = 0; i < block.nrEntries() && first + i < words.length; i++) {
                words[first + i] = block.valueLong(i);
            }
        });
        return new Writeset((int) nrBits, BitSet.valueOf(words));
    }

    private interface Blocks {
        void block(long index, ArrayBlock block);
    }

    private interface Values {
        void value(long key, ByteBuffer node, int offset) throws IOException;
    }

    private static void array(BlockDevice device, long root, Blocks blocks) throws IOException {
        tree(
                device,
                root,
                (index, node, offset) ->
                        blocks.block(index, new ArrayBlock().wrap(block(device, node.getLong(offset)), 0)));
    }

    private static void tree(BlockDevice device, long at, Values values) throws IOException {
        BTreeNode node = new BTreeNode().wrap(block(device, at), 0);
        for (int i = 0; i < node.nrEntries(); i++) {
            if (node.isLeaf()) {
                values.value(node.key(i), node.buffer(), node.valueOffset(i));
            } else {
                tree(device, node.valueLong(i), values);
            }
        }
    }

    private static Superblock superblock(BlockDevice device, long number) throws IOException {
        return new Superblock().wrap(block(device, number), 0);
    }

    private static ByteBuffer block(BlockDevice device, long number) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        device.read(number, bytes);
        return bytes;
    }
}
