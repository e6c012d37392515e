// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

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
    private int lost;
    private final BitSet gone = new BitSet();
    private final BitSet strayed = new BitSet();

    @Override
    public void present(long index, long blockNr, int usableEntries) {
        put((int) index, (int) blockNr, usableEntries);
    }

    @Override
    public void lost(long from, long to) {
        // Only counted: what was not put is lost.
        lost += (int) Math.min(Integer.MAX_VALUE - lost, to - from);
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

    private void put(int index, int blockNr, int usableEntries) {
        if (index >= blocks.length) {
            int length = Math.max(index + 1, blocks.length * 2);
            blocks = Arrays.copyOf(blocks, length);
            usable = Arrays.copyOf(usable, length);
        }
        blocks[index] = blockNr;
        usable[index] = (short) usableEntries;
        size = Math.max(size, index + 1);
    }

    /** The metadata block of array block {@code index}, or {@link #LOST}. */
    public int block(long index) {
        return index < size ? blocks[(int) index] : LOST;
    }

    /** Entries at the beginning of array block {@code index} that can be relied on. */
    public int usable(long index) {
        return index < size ? usable[(int) index] : 0;
    }

    /** Array blocks that are lost. */
    int lostBlocks() {
        return lost;
    }
}
