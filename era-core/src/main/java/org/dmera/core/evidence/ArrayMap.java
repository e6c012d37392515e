// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import org.dmera.core.read.ArrayWalker;

/** Where the blocks of an array are, and which of them are lost: what salvaging remembers of a walk. */
public final class ArrayMap implements ArrayWalker.Visitor {
    /** In place of a block number: lost. Block 0 is the superblock's. */
    public static final int LOST = 0;

    private int[] blocks = new int[4];
    private short[] usable = new short[4];
    private int size;
    private final BitSet gone = new BitSet();
    private final BitSet strayed = new BitSet();

    /** The blocks of the array at {@code root}, which should have {@code entries} entries. */
    public static ArrayMap of(BlockReader reader, TreeSpec spec, long root, long entries) {
        ArrayMap map = new ArrayMap();
        new ArrayWalk(reader, spec, map).walk(root, entries, true);
        return map;
    }

    @Override
    public void present(long index, long blockNr, int usableEntries) {
        int at = (int) index;
        if (at >= blocks.length) {
            int length = Math.max(at + 1, blocks.length * 2);
            blocks = Arrays.copyOf(blocks, length);
            usable = Arrays.copyOf(usable, length);
        }
        blocks[at] = (int) blockNr;
        usable[at] = (short) usableEntries;
        size = Math.max(size, at + 1);
    }

    @Override
    public void gone(long from, long to) {
        gone.set((int) from, (int) to);
    }

    @Override
    public void strayed(long from, long to) {
        strayed.set((int) from, (int) to);
    }

    /** Whether the content of array block {@code index} is lost, and not only its place. */
    public boolean isGone(long index) {
        return gone.get((int) index);
    }

    /** Whether the leaf of array block {@code index} is there, and doesn't lead to it. */
    public boolean isStrayed(long index) {
        return strayed.get((int) index);
    }

    /** The metadata block of array block {@code index}, or {@link #LOST}. */
    public int block(long index) {
        return index < size ? blocks[(int) index] : LOST;
    }

    /** Entries at the beginning of array block {@code index} that can be relied on. */
    public int usable(long index) {
        return index < size ? usable[(int) index] : 0;
    }

    /**
     * Reads array block {@code index} into {@code block}; returns how many of {@code count} entries at its beginning can be
     * relied on, 0 when it is lost.
     */
    public int load(BlockReader reader, long index, int count, ByteBuffer block) {
        int blockNr = block(index);
        return blockNr == LOST || reader.tryRead(blockNr, block) != null ? 0 : Math.min(count, usable(index));
    }
}
