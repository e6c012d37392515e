// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.Limits;

/**
 * Walks an array: the btree of its blocks, and what each of them is, by every rule of the format. The visitor learns of
 * each block of the array exactly once and in order: present, or lost.
 */
public final class ArrayWalker implements TreeWalker.Listener {
    /** What the array's blocks are, from a pass over the device or by reading them as they are asked for; and what is wrong. */
    public interface Policy {
        /** The {@link BlockVerdict} of the usable block to which entry {@code index} of a leaf leads. */
        short verdict(BTreeNode leaf, int index) throws IOException;

        /** Why the block, whose verdict is {@code code}, is no array block of such values. */
        Problem explain(long blockNr, int code) throws IOException;

        /** A rule is broken: the policy is to throw, or to return and learn what is lost. */
        void problem(Problem problem) throws IOException;

        /** No usable reference leads to array block {@code index}. */
        default void unreferenced(long index) {}

        /** Whether what the leaf leads to isn't believed, though it may seem to fit. */
        default boolean isDistrusted(BTreeNode leaf) {
            return false;
        }

        /** A node of the array's tree can't be used; as {@link TreeWalker.Listener#lost}. */
        default void lostNode(TreeWalker.Lost lost) {}
    }

    /** Receives the array's blocks. */
    public interface Visitor {
        /**
         * Array block {@code index} verifies.
         *
         * @param usable entries at its beginning that are what they should be; the rest, up to the number that
         *     belongs there, is lost
         */
        default void present(long index, long blockNr, int usable) throws IOException {}

        /** The content of the array blocks {@code [from, to)}, which are lost, is in no other block either. */
        default void gone(long from, long to) {}

        /** The array blocks {@code [from, to)}, which are lost, are so because their leaf doesn't lead to them. */
        default void strayed(long from, long to) {}

        /** There is an array block {@code index}, past the end of the array. */
        default void extra(long index, long blockNr) {}
    }

    /**
     * How long an array is, judged by its blocks.
     *
     * @param entries as many as were asked for, or more when it {@link #isLonger}; of an array that was walked for 0 entries
     *     its whole length, a partial last block included
     * @param isLonger whether it has more entries than it should have, beyond what a shrink leaves behind
     * @param isEndUnknown whether its end is lost, so that it may have been any longer
     */
    public record Length(long entries, boolean isLonger, boolean isEndUnknown) {}

    private final BlockSource source;
    private final Visits visits;
    private final Policy policy;
    private final Visitor visitor;
    private final TreeWalker tree;
    private final int perBlock;
    private final int sound;

    private long entries;
    private long needed;
    private long first;
    /** Array blocks from here on are not asked for. */
    private long end;

    private boolean looksBehind;
    private long next;
    private long key;
    private boolean isLonger;
    /** Entries that the array has for certain, from its beginning without a gap behind {@link #entries}. */
    private long extent;
    /** Where the lost array blocks end that follow without a gap on what is known, or 0. */
    private long lostTo;

    private boolean isEndUnknown;
    private boolean isDistrusted;
    /** Whether {@link #key} is that of the entry which is visited. */
    private boolean isAtEntry;

    /**
     * A walker of arrays of values of {@code valueBytes}: 4 for an era array, 8 for a bitset.
     *
     * @param buffers as those of {@link TreeWalker}
     */
    public ArrayWalker(
            BlockSource source, Visits visits, Policy policy, int valueBytes, ByteBuffer[] buffers, Visitor visitor) {
        this.source = source;
        this.visits = visits;
        this.policy = policy;
        this.visitor = visitor;
        this.perBlock = ArrayBlock.maxEntries(valueBytes);
        this.sound = valueBytes == ArrayBlock.ERA_BYTES ? BlockVerdict.ERAS : BlockVerdict.WORDS;
        this.tree = new TreeWalker(source, visits, BTreeNode.BLOCK_VALUE_BYTES, buffers, this);
    }

    /** Walks the array at {@code root}, which should have {@code entries} entries, and what lies behind its end. */
    public Length walk(long root, long entries, boolean counted) throws IOException {
        begin(0, entries, Long.MAX_VALUE);
        looksBehind = true;
        tree.walk(root, 0, counted);
        if (entries == 0) {
            // Lost blocks at the end: nobody knows how full the last of them was.
            extent = Math.max(extent, lostTo * perBlock);
        }
        missing(needed);
        return new Length(extent, isLonger, isEndUnknown);
    }

    /**
     * Walks the array blocks that hold the entries {@code from} to {@code to − 1}.
     *
     * @param entries how many there should be in all, or -1 for any number from {@code to} on
     */
    public void walkPart(long root, long from, long to, long entries) throws IOException {
        begin(from / perBlock, entries < 0 ? to : entries, (to + perBlock - 1) / perBlock);
        looksBehind = to == entries;
        tree.walk(root, first, true);
        missing(end);
    }

    private void begin(long first, long entries, long end) {
        this.first = first;
        this.end = end;
        this.entries = entries;
        this.needed = (entries + perBlock - 1) / perBlock;
        this.next = first;
        this.isLonger = false;
        this.extent = entries;
        this.lostTo = 0;
        this.isEndUnknown = false;
    }

    /** The keys on the way to the node or array block that is visited. */
    public String path() {
        return tree.path() + (isAtEntry ? " > key " + Long.toUnsignedString(key) : "");
    }

    @Override
    public void problem(Problem problem) throws IOException {
        policy.problem(problem);
    }

    @Override
    public boolean leaf(BTreeNode leaf, boolean isFirst) throws IOException {
        isDistrusted = policy.isDistrusted(leaf) || hasSlipped(leaf);
        int n = leaf.nrEntries();
        // Entries of the first leaf may lie before the first block that is wanted.
        for (int i = first == 0 ? 0 : leaf.lowerBound(first - 1) + 1; i < n; i++) {
            boolean isPastEnd = Long.compareUnsigned(leaf.key(i), end) >= 0;
            if (isPastEnd && !looksBehind) {
                return false;
            }
            isAtEntry = true;
            entry(leaf, i, isFirst);
            isAtEntry = false;
            if (isPastEnd) {
                return false;
            }
        }
        return next < end;
    }

    /**
     * Whether the leaf has just as many entries as belong there, one of them after a gap and others past the end: which of the keys
     * are too high isn't known.
     */
    private boolean hasSlipped(BTreeNode leaf) {
        int inside = needed == 0 ? 0 : leaf.lowerBound(needed - 1) + 1;
        return inside > 0
                && inside < leaf.nrEntries()
                && leaf.nrEntries() == needed - next
                && leaf.key(inside - 1) - next >= inside;
    }

    private void entry(BTreeNode leaf, int index, boolean counted) throws IOException {
        key = leaf.key(index);
        long blockNr = leaf.valueLong(index);
        boolean isExtra = Long.compareUnsigned(key, needed) >= 0;
        if (!isExtra) {
            missing(key);
            next = key + 1;
        }
        if (!source.isUsable(blockNr)) {
            policy.problem(Problem.outOfRange(blockNr, source.sizeBlocks()));
            loseEntry(isExtra, true, true);
            return;
        }
        visits.refer(blockNr, counted);
        short verdict = policy.verdict(leaf, index);
        int code = BlockVerdict.code(verdict);
        if (code != sound) {
            policy.problem(policy.explain(blockNr, code));
            // What nobody else claims is in its place, and holds something else, or nothing, now.
            boolean isReferenceWrong = code > BlockVerdict.MISPLACED && code != BlockVerdict.BAD_ARRAY;
            loseEntry(isExtra, visits.isDoublyUsed(blockNr), isReferenceWrong);
        } else if (isDistrusted) {
            loseEntry(isExtra, false, true);
        } else {
            // Asked for blocks that fit: one that doesn't is not ours, and stays whosever it is.
            Problem taken = visits.use(blockNr, ~key);
            if (taken != null) {
                policy.problem(taken);
                loseEntry(isExtra, true, true);
            } else if (isExtra) {
                judgeExtra(blockNr, BlockVerdict.nrEntries(verdict));
            } else {
                judge(blockNr, BlockVerdict.nrEntries(verdict), BlockVerdict.isAboveCurrent(verdict));
            }
        }
    }

    @Override
    public void lost(TreeWalker.Lost lost) throws IOException {
        policy.lostNode(lost);
        long low = lost.low();
        long last = lost.last();
        if (lost.isArrayBlock() && Long.compareUnsigned(low, needed) < 0) {
            visitor.gone(low, endOf(last));
        }
        if (Long.compareUnsigned(last, Limits.MAX_ARRAY_BLOCKS) < 0) {
            loseExtra(low, last + 1);
        } else {
            isEndUnknown = true;
        }
        // Unsigned, and "last" may be the very last key there is: clip to the array first.
        if (Long.compareUnsigned(low, needed) >= 0) {
            return;
        }
        missing(low);
        next = Math.max(next, endOf(last));
    }

    private long endOf(long last) {
        return Long.compareUnsigned(last, needed) >= 0 ? needed : last + 1;
    }

    /** Reports the array blocks from the next expected one up to {@code to}. */
    private void missing(long to) throws IOException {
        if (next >= to) {
            return;
        }
        report(
                DamageKind.ARRAY_BLOCK_MISSING,
                Problem.NO_BLOCK,
                "array blocks " + next + " to " + (to - 1) + " are missing, expected 0 to " + (needed - 1) + " for "
                        + entries + " entries");
        for (long index = next; index < Math.min(to, next + 2); index++) {
            policy.unreferenced(index);
        }
        visitor.strayed(next, to);
        next = to;
    }

    /** Array blocks past the end that was asked for: only how far they go is of interest. */
    private void loseExtra(long from, long to) {
        if (entries == 0 && (from * perBlock == extent || from == lostTo)) {
            lostTo = to;
        }
    }

    /**
     * The entry that is visited leads to no block of the array.
     *
     * @param isStray whether the block that belongs here may be elsewhere: its content isn't lost for certain
     */
    private void loseEntry(boolean isExtra, boolean isStray, boolean isReferenceWrong) {
        if (isExtra) {
            loseExtra(key, key + 1);
            return;
        }
        if (isStray) {
            visitor.strayed(key, key + 1);
        } else {
            visitor.gone(key, key + 1);
        }
        if (isReferenceWrong) {
            policy.unreferenced(key);
        }
    }

    private void judge(long blockNr, int nrEntries, boolean isAboveCurrent) throws IOException {
        long wanted = Math.min(perBlock, entries - key * perBlock);
        if (nrEntries < wanted) {
            report(DamageKind.ARRAY_BLOCK_SHORT, blockNr, nrEntries + " entries, expected " + wanted);
        } else if (nrEntries > wanted) {
            isLonger = true;
            extent = key * perBlock + nrEntries;
            report(DamageKind.ARRAY_BLOCK_LONG, blockNr, nrEntries + " entries, expected " + wanted);
        }
        if (isAboveCurrent) {
            report(DamageKind.ERA_ABOVE_CURRENT, blockNr, "it holds an era above the last that can have been digested");
        }
        if (nrEntries != wanted) {
            // It may be an older version of itself, of when the array had another size: nothing in it can be relied on.
            visitor.gone(key, key + 1);
        }
        visitor.present(key, blockNr, (int) Math.min(nrEntries, wanted));
    }

    /** The kernel's shrink may leave the partial block at the end behind; a full one it always removes. */
    private void judgeExtra(long blockNr, int nrEntries) throws IOException {
        visitor.extra(key, blockNr);
        if (entries == 0 && key == lostTo) {
            // A gap that damage has made: the blocks in it were full, for others follow.
            extent = Math.max(extent, lostTo * perBlock);
        }
        boolean continues = extent == key * perBlock;
        if (continues && (nrEntries == perBlock || isLonger || entries == 0)) {
            extent += nrEntries;
        }
        if (sound == BlockVerdict.ERAS && nrEntries < perBlock && !(continues && isLonger)) {
            String detail = "a partial array block past the end, which a shrink has left; it is never read";
            report(DamageKind.LEFT_OVER_ARRAY_BLOCK, blockNr, detail);
        } else {
            isLonger = true;
            String detail = "array block " + Long.toUnsignedString(key) + " with " + nrEntries + " entries; " + entries
                    + " entries need blocks 0 to " + (needed - 1);
            report(DamageKind.ARRAY_BLOCK_EXTRA, blockNr, detail);
        }
    }

    private void report(DamageKind kind, long blockNr, String detail) throws IOException {
        policy.problem(Problem.of(kind, blockNr, detail));
    }
}
