// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.nio.ByteBuffer;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;

/**
 * Walks an array: the btree of its blocks, and what the pass over the device saw of each of them.
 *
 * <p>The visitor learns of every block of the array exactly once and in order: present, or lost.
 */
final class ArrayWalk implements TreeWalk.Visitor, Where {
    /** Receives the array's blocks. */
    interface Visitor {
        /**
         * Array block {@code index} verifies.
         *
         * @param usable entries at its beginning that are what they should be; the rest, up to the number that
         *     belongs there, is lost
         */
        void present(long index, long blockNr, int usable);

        /** The array blocks {@code [from, to)} are lost. */
        void lost(long from, long to);

        /** The content of the array blocks {@code [from, to)}, which are lost, is in no other block either. */
        default void gone(long from, long to) {}

        /** The array blocks {@code [from, to)}, which are lost, are so because their leaf doesn't lead to them. */
        default void strayed(long from, long to) {}

        /** There is an array block {@code index}, past the end of the array. */
        default void extra(long index, long blockNr) {}
    }

    private static final long LAST_KEY = -1;
    /** Past the last array block that an origin of the largest size needs. */
    private static final long MOST_ARRAY_BLOCKS = 1L << 32;

    private final BlockReader reader;
    private final BlockTable table;
    private final TreeSpec spec;
    private final TreeWalk tree;
    private final Visitor visitor;
    private final int perBlock;
    private final int sound;

    private long root;
    private long entries;
    private long needed;
    private long next;
    private long key;
    private boolean longer;
    /** Entries that the array has for certain, from its beginning without a gap behind {@link #entries}. */
    private long reach;
    /** Where the lost array blocks end that follow without a gap on what is known, or 0. */
    private long lostTo;

    private boolean openEnded;
    /** Whether the leaf that is walked is an older version of its block, or another tree's. */
    private boolean isForeign;

    /**
     * A walk of an array of {@code valueBytes}: 4 for an era array, 8 for a bitset.
     *
     * @param buffers from {@link TreeWalk#newBuffers}
     */
    ArrayWalk(BlockReader reader, TreeSpec spec, int valueBytes, ByteBuffer[] buffers, Visitor visitor) {
        this.reader = reader;
        this.table = reader.table();
        this.spec = spec;
        this.visitor = visitor;
        this.perBlock = ArrayBlock.maxEntries(valueBytes);
        this.sound = valueBytes == ArrayBlock.ERA_BYTES ? Seen.ERAS : Seen.WORDS;
        this.tree = new TreeWalk(reader, spec, buffers, this);
    }

    /** Walks the array at {@code root}, which should have {@code entries} entries. */
    void walk(long root, long entries, boolean counted) {
        this.root = root;
        this.entries = entries;
        this.needed = (entries + perBlock - 1) / perBlock;
        this.next = 0;
        this.longer = false;
        this.reach = entries;
        this.lostTo = 0;
        this.openEnded = false;
        tree.walk(root, counted);
        if (entries == 0) {
            // Lost blocks at the end: nobody knows how full the last of them was.
            reach = Math.max(reach, lostTo * perBlock);
        }
        missing(needed);
    }

    /** Whether the array has more entries than it was said to have, beyond what a shrink leaves behind. */
    boolean isLonger() {
        return longer;
    }

    /**
     * How many entries the array has, judged by its blocks: what was asked for, or more when {@link #isLonger}. An
     * array that was walked for 0 entries shows its whole length, a partial last block included.
     */
    long reach() {
        return reach;
    }

    /** Whether the end of the array is lost, so that it may have been any longer than {@link #reach}. */
    boolean isOpenEnded() {
        return openEnded;
    }

    @Override
    public Structure structure() {
        return spec.structure();
    }

    @Override
    public String path() {
        return tree.path() + " > key " + Long.toUnsignedString(key);
    }

    @Override
    public String consequence() {
        return spec.consequence();
    }

    @Override
    public void entry(BTreeNode leaf, int index, boolean counted) {
        if (index == 0) {
            isForeign = isForeign(leaf);
        }
        key = leaf.key(index);
        long blockNr = leaf.valueLong(index);
        boolean extra = Long.compareUnsigned(key, needed) >= 0;
        if (!extra) {
            missing(key);
            next = key + 1;
        }
        if (!isInRange(blockNr, counted)) {
            stray(extra);
            loseEntry(extra, true);
            return;
        }
        short seen = reader.seen(blockNr);
        int code = Seen.code(seen);
        if (code != sound && (code != Seen.ERAS_ABOVE_CURRENT || sound != Seen.ERAS)) {
            reportContent(blockNr, code);
            // What nobody else claims is in its place, and holds something else, or nothing, now.
            if (!extra && table.hasMark(blockNr, BlockTable.DOUBLY_USED)) {
                visitor.strayed(key, key + 1);
            } else if (!extra) {
                visitor.gone(key, key + 1);
            }
            loseEntry(extra, code > Seen.MISPLACED && code != Seen.BAD_ARRAY);
        } else if (isForeign) {
            if (!extra) {
                visitor.gone(key, key + 1);
            }
            loseEntry(extra, true);
        } else if (!isOursAlone(blockNr)) {
            stray(extra);
            loseEntry(extra, true);
        } else if (extra) {
            judgeExtra(blockNr, Seen.nrEntries(seen));
        } else {
            judge(blockNr, Seen.nrEntries(seen), code == Seen.ERAS_ABOVE_CURRENT);
        }
    }

    /**
     * Whether the leaf leads to a sound block of the other kind of array, and half of its entries or more do so or lie past the
     * end: then what fits is chance.
     */
    private boolean isForeign(BTreeNode leaf) {
        int other = 0;
        int past = 0;
        int n = leaf.nrEntries();
        for (int i = 0; i < n; i++) {
            long blockNr = leaf.valueLong(i);
            int code = table.isUsable(blockNr) ? Seen.code(reader.seen(blockNr)) : Seen.NOT_YET;
            boolean isOther =
                    sound == Seen.ERAS ? code == Seen.WORDS : code == Seen.ERAS || code == Seen.ERAS_ABOVE_CURRENT;
            other += isOther ? 1 : 0;
            past += !isOther && entries > 0 && Long.compareUnsigned(leaf.key(i), needed) >= 0 ? 1 : 0;
        }
        return other > 0 && 2 * (other + past) >= n;
    }

    @Override
    public void lost(long from, long last) {
        openEnded |= last == LAST_KEY;
        if (last != LAST_KEY && Long.compareUnsigned(last, MOST_ARRAY_BLOCKS) < 0) {
            loseExtra(from, last + 1);
        }
        // Unsigned, and "last" may be the very last key there is: clip to the array first.
        if (Long.compareUnsigned(from, needed) >= 0) {
            return;
        }
        long to = Long.compareUnsigned(last, needed) >= 0 ? needed : last + 1;
        missing(from);
        if (to > next) {
            visitor.lost(next, to);
            next = to;
        }
    }

    @Override
    public void gone(long from, long last) {
        if (Long.compareUnsigned(from, needed) < 0) {
            visitor.gone(from, Long.compareUnsigned(last, needed) >= 0 ? needed : last + 1);
        }
    }

    /** Reports the array blocks from the next expected one up to {@code to}. */
    private void missing(long to) {
        if (next >= to) {
            return;
        }
        reader.log()
                .add(
                        DamageKind.ARRAY_BLOCK_MISSING,
                        spec.structure(),
                        spec.path(),
                        Damage.NO_BLOCK,
                        1,
                        "array blocks " + next + " to " + (to - 1) + " are missing, expected 0 to " + (needed - 1)
                                + " for " + entries + " entries",
                        spec.consequence());
        for (long index = next; index < Math.min(to, next + 2); index++) {
            reader.log().lost(new LostEntry(spec, root, index));
        }
        visitor.strayed(next, to);
        visitor.lost(next, to);
        next = to;
    }

    /** Array blocks past the end that was asked for: only how far they go is of interest. */
    private void loseExtra(long from, long to) {
        if (entries == 0 && (from * perBlock == reach || from == lostTo)) {
            lostTo = to;
        }
    }

    private void stray(boolean extra) {
        if (!extra) {
            visitor.strayed(key, key + 1);
        }
    }

    private void loseEntry(boolean extra, boolean isReferenceWrong) {
        if (extra) {
            loseExtra(key, key + 1);
            return;
        }
        if (isReferenceWrong) {
            reader.log().lost(new LostEntry(spec, root, key));
        }
        visitor.lost(key, key + 1);
    }

    private boolean isInRange(long blockNr, boolean counted) {
        if (!table.isUsable(blockNr)) {
            return reader.report(
                    DamageKind.OUT_OF_RANGE, this, blockNr, "expected a block from 1 to " + (table.size() - 1));
        }
        if (counted) {
            table.addReference(blockNr);
        }
        return true;
    }

    /** Asked for blocks that fit: one that doesn't is not ours, and stays whosever it is. */
    private boolean isOursAlone(long blockNr) {
        if (table.use(blockNr, spec.walk(), spec.place(~key)) && !table.hasMark(blockNr, BlockTable.DOUBLY_USED)) {
            return true;
        }
        return reader.report(DamageKind.DOUBLY_USED, this, blockNr, table.whyDoubted(blockNr));
    }

    private void judge(long blockNr, int nrEntries, boolean aboveCurrent) {
        long wanted = Math.min(perBlock, entries - key * perBlock);
        if (nrEntries < wanted) {
            reader.report(DamageKind.ARRAY_BLOCK_SHORT, this, blockNr, nrEntries + " entries, expected " + wanted);
        } else if (nrEntries > wanted) {
            longer = true;
            reach = key * perBlock + nrEntries;
            reader.report(DamageKind.ARRAY_BLOCK_LONG, this, blockNr, nrEntries + " entries, expected " + wanted);
        }
        if (aboveCurrent) {
            reader.report(
                    DamageKind.ERA_ABOVE_CURRENT,
                    this,
                    blockNr,
                    "it holds an era above the last that can have been digested");
        }
        if (nrEntries != wanted) {
            // It may be an older version of itself, of when the array had another size: nothing in it can be relied on.
            visitor.gone(key, key + 1);
        }
        visitor.present(key, blockNr, (int) Math.min(nrEntries, wanted));
    }

    /** The kernel's shrink may leave the partial block at the end behind; a full one it always removes. */
    private void judgeExtra(long blockNr, int nrEntries) {
        visitor.extra(key, blockNr);
        if (entries == 0 && key == lostTo) {
            // A gap that damage has made: the blocks in it were full, for others follow.
            reach = Math.max(reach, lostTo * perBlock);
        }
        boolean continues = reach == key * perBlock;
        if (continues && (nrEntries == perBlock || longer || entries == 0)) {
            reach += nrEntries;
        }
        if (sound == Seen.ERAS && nrEntries < perBlock && !(continues && longer)) {
            reader.log()
                    .add(
                            DamageKind.LEFT_OVER_ARRAY_BLOCK,
                            structure(),
                            path(),
                            blockNr,
                            1,
                            "a partial array block past the end, which a shrink has left; it is never read",
                            "the block is left out");
        } else {
            longer = true;
            reader.report(
                    DamageKind.ARRAY_BLOCK_EXTRA,
                    this,
                    blockNr,
                    "array block " + Long.toUnsignedString(key) + " with " + nrEntries + " entries; " + entries
                            + " entries need blocks 0 to " + (needed - 1));
        }
    }

    private void reportContent(long blockNr, int code) {
        // Reading it again gives the reason in full.
        if (reader.read(blockNr, BlockReader.newBuffer(), BlockType.ARRAY_BLOCK, this)) {
            reader.report(
                    DamageKind.BAD_HEADER,
                    this,
                    blockNr,
                    code == Seen.BAD_ARRAY
                            ? "impossible array block header"
                            : "values of " + (sound == Seen.ERAS ? 8 : 4) + " bytes, expected "
                                    + (sound == Seen.ERAS ? 4 : 8));
        }
    }
}
