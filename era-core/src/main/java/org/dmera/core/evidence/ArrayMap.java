// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.evidence;

import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.dmera.core.read.ArrayWalker;

/**
 * Where the blocks of an array are, and which of them are lost: what salvaging remembers of a walk. It takes room for what is
 * there, not for what keys say: a key that is wrong may be any.
 */
public final class ArrayMap implements ArrayWalker.Visitor {
    /** In place of a block number: lost. Block 0 is the superblock's. */
    public static final int LOST = 0;

    /** The number of a block that counts takes the other 22 bits: see {@link BlockUse}. */
    private static final int USABLE_BITS = 10;

    private static final int PAGE_BITS = 8;
    private static final int MASK = (1 << PAGE_BITS) - 1;

    /** The array blocks, so many in a row to a page: the number of each, and how many of its entries are usable. */
    private final Map<Integer, int[]> pages = new HashMap<>();
    /** Ranges by their first array block: where each ends. */
    private final NavigableMap<Long, Long> gone = new TreeMap<>();

    private final NavigableMap<Long, Long> strayed = new TreeMap<>();
    private ArrayWalker.Length length;

    private ArrayMap() {}

    /** The blocks of the array at {@code root}, which should have {@code entries} entries; 0 for as many as it has. */
    public static ArrayMap of(BlockReader reader, TreeSpec spec, long root, long entries) {
        ArrayMap map = new ArrayMap();
        map.length = Walk.array(reader, spec, root, entries, true, map);
        return map;
    }

    /** Keeps one of the pages that are alike in this map and in those that have been given the same {@code pool}. */
    public ArrayMap sharing(Map<IntBuffer, int[]> pool) {
        pages.replaceAll((number, page) -> pool.computeIfAbsent(IntBuffer.wrap(page), IntBuffer::array));
        return this;
    }

    /** How long the array is. */
    public ArrayWalker.Length length() {
        return length;
    }

    @Override
    public void present(long index, long blockNr, int usableEntries) {
        pages.computeIfAbsent((int) (index >>> PAGE_BITS), any -> new int[1 << PAGE_BITS])[(int) index & MASK] =
                (int) blockNr << USABLE_BITS | usableEntries;
    }

    @Override
    public void gone(long from, long to) {
        gone.put(from, to);
    }

    @Override
    public void strayed(long from, long to) {
        strayed.put(from, to);
    }

    private static boolean contains(NavigableMap<Long, Long> ranges, long index) {
        Map.Entry<Long, Long> range = ranges.floorEntry(index);
        return range != null && range.getValue() > index;
    }

    /** Whether the content of array block {@code index} is lost, and not only its place. */
    public boolean isGone(long index) {
        return contains(gone, index);
    }

    /** Whether the leaf of array block {@code index} is there, and doesn't lead to it. */
    public boolean isStrayed(long index) {
        return contains(strayed, index);
    }

    private int entry(long index) {
        int[] page = pages.get((int) (index >>> PAGE_BITS));
        return page == null ? LOST : page[(int) index & MASK];
    }

    /** The metadata block of array block {@code index}, or {@link #LOST}. */
    public int block(long index) {
        return entry(index) >>> USABLE_BITS;
    }

    /** Entries at the beginning of array block {@code index} that can be relied on. */
    public int usable(long index) {
        return entry(index) & (1 << USABLE_BITS) - 1;
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
