// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.read;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.HeaderRules;
import org.dmera.core.format.Limits;

/**
 * Walks one btree from its root, in key order, by every rule of the format: the only one who does.
 *
 * <p>Keys must ascend and stay between those of the parent, all leaves are at one depth, only an empty tree's root has no
 * entries, the depth is limited. A broken rule is reported to the listener. If that goes on, the keys below the node are lost, no
 * more, and the walk goes on behind them. So what one listener takes for clean, each other can read. One instance serves any
 * number of walks, one at a time.
 */
public final class TreeWalker {
    /** The way on from the last key: none is higher. */
    public static final long LAST_KEY = -1;

    /** In place of the block that holds the reference to a root. */
    public static final long NO_HOLDER = -1;

    /** Receives what there is of a tree. */
    public interface Listener {
        /** A rule is broken: the policy is to throw, or to return and learn what is lost. */
        void problem(Problem problem) throws IOException;

        /**
         * Visits a leaf, valid during the call; returns false to end the walk.
         *
         * @param isFirst whether no walk has visited it before, so that the references in it have to be counted
         */
        boolean leaf(BTreeNode leaf, boolean isFirst) throws IOException;

        /** A node, and with it the keys below it, can't be had. */
        default void lost(Lost lost) throws IOException {}
    }

    /**
     * A node that can't be used: it is broken, or the reference to it is.
     *
     * @param blockNr of the node, or where the reference leads (u64)
     * @param low the lowest key that may be below it (u64)
     * @param last the highest (u64)
     * @param holder the node that holds the reference, or {@link #NO_HOLDER} for the root of its tree
     * @param isReference whether it is for certain the reference that is wrong
     * @param isArrayBlock whether an array block is in the node's place: its holder may be a leaf that passes for a node above
     *     others
     */
    public record Lost(long blockNr, long low, long last, long holder, boolean isReference, boolean isArrayBlock) {}

    private final BlockSource source;
    private final Visits visits;
    private final int valueBytes;
    private final ByteBuffer[] buffers;
    private final Listener listener;
    private final BTreeNode[] nodes = new BTreeNode[Limits.MAX_TREE_LEVELS];
    private final long[] blocks = new long[Limits.MAX_TREE_LEVELS];
    /** The key of the entry that leads from the node at each depth to the next. */
    private final long[] keys = new long[Limits.MAX_TREE_LEVELS];

    private long firstKey;
    private int depth;
    private int leafDepth;

    /**
     * A walker of trees whose leaves have values of {@code valueBytes}.
     *
     * @param buffers room for a node at each depth, filled as it is needed; walks that don't run inside one another may share
     *     it
     */
    public TreeWalker(BlockSource source, Visits visits, int valueBytes, ByteBuffer[] buffers, Listener listener) {
        this.source = source;
        this.visits = visits;
        this.valueBytes = valueBytes;
        this.buffers = buffers;
        this.listener = listener;
    }

    /** Room for one node at each depth. */
    public static ByteBuffer[] newBuffers() {
        return new ByteBuffer[Limits.MAX_TREE_LEVELS];
    }

    /**
     * Walks the tree at {@code root}.
     *
     * @param firstKey subtrees of lower keys are not read, but for the leaf that it is in, or would be
     * @param counted whether the reference to the root has to be counted
     */
    public void walk(long root, long firstKey, boolean counted) throws IOException {
        this.firstKey = firstKey;
        depth = 0;
        leafDepth = -1;
        visit(root, 0, LAST_KEY, counted);
    }

    /** The keys on the way to the node that is visited, as {@code  > key 3 > key 17}. */
    public String path() {
        StringBuilder path = new StringBuilder();
        for (int i = 0; i < depth; i++) {
            path.append(" > key ").append(Long.toUnsignedString(keys[i]));
        }
        return path.toString();
    }

    private boolean visit(long blockNr, long low, long last, boolean counted) throws IOException {
        Problem problem = refusal(blockNr, counted);
        if (problem != null) {
            return lose(problem, low, last, true, false);
        }
        if (buffers[depth] == null) {
            // On the heap: a salvage walks the trees of thousands of states, and direct buffers are slow to go.
            buffers[depth] = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        }
        if (nodes[depth] == null) {
            nodes[depth] = new BTreeNode();
        }
        ByteBuffer buffer = buffers[depth];
        BTreeNode node = nodes[depth];
        boolean isFirst = visits.isNew(blockNr);
        problem = source.read(blockNr, buffer, BlockType.BTREE_NODE);
        if (problem != null) {
            visits.misfit(blockNr);
            boolean isArrayBlock =
                    problem.kind() == DamageKind.WRONG_TYPE && source.identify(buffer) == BlockType.ARRAY_BLOCK;
            return lose(problem, low, last, false, isArrayBlock);
        }
        node.wrap(buffer, 0);
        if (!node.hasSaneShape(valueBytes)) {
            // Not marked as met: it may well be another tree's, and this reference the one that is wrong.
            visits.misfit(blockNr);
            problem = Problem.badHeader(blockNr, HeaderRules.problems(node, valueBytes));
            return lose(problem, low, last, false, false);
        }
        int n = node.nrEntries();
        problem = unsound(node, blockNr, low, last);
        Problem taken = visits.use(blockNr, problem != null || n == 0 ? low : node.key(0));
        if (problem != null || taken != null) {
            return lose(problem != null ? problem : taken, low, last, problem == null, false);
        }
        blocks[depth] = blockNr;
        if (isFirst && depth > 0 && n < node.maxEntries() / 3) {
            // A third is what the kernel keeps when it removes; it never leaves less, but nothing breaks when it does.
            listener.problem(Problem.of(
                    DamageKind.UNDER_FILLED, blockNr, n + " entries, a third of " + node.maxEntries() + " is usual"));
        }
        return node.isLeaf() ? listener.leaf(node, isFirst) : visitChildren(node, last, isFirst);
    }

    private boolean visitChildren(BTreeNode node, long last, boolean counted) throws IOException {
        int n = node.nrEntries();
        for (int i = 0; i < n; i++) {
            long key = node.key(i);
            long childLast = i + 1 < n ? node.key(i + 1) - 1 : last;
            if (Long.compareUnsigned(childLast, firstKey) < 0) {
                continue;
            }
            keys[depth++] = key;
            boolean goesOn = visit(node.valueLong(i), key, childLast, counted);
            depth--;
            if (!goesOn) {
                return false;
            }
        }
        return true;
    }

    /** Why a reference can't be followed, as far as that shows before the block is read; null when it can be. */
    private Problem refusal(long blockNr, boolean counted) {
        if (!source.isUsable(blockNr)) {
            return Problem.outOfRange(blockNr, source.sizeBlocks());
        }
        Problem refused = visits.refer(blockNr, counted);
        if (refused != null) {
            return refused;
        }
        for (int i = 0; i < depth; i++) {
            if (blocks[i] == blockNr) {
                return Problem.of(DamageKind.CYCLE, blockNr, "the node leads back to itself");
            }
        }
        if (depth == Limits.MAX_TREE_LEVELS) {
            return Problem.of(
                    DamageKind.TOO_DEEP, blockNr, "the tree is deeper than " + Limits.MAX_TREE_LEVELS + " nodes");
        }
        return visits.enter(blockNr);
    }

    /** What is wrong with a node whose header can be; null when nothing is. */
    private Problem unsound(BTreeNode node, long blockNr, long low, long last) {
        int n = node.nrEntries();
        if (n == 0) {
            return depth == 0 && node.isLeaf()
                    ? null
                    : Problem.of(DamageKind.EMPTY_NODE, blockNr, "only an empty tree's root has no entries");
        }
        for (int i = 1; i < n; i++) {
            if (Long.compareUnsigned(node.key(i - 1), node.key(i)) >= 0) {
                return Problem.of(
                        DamageKind.KEYS_UNSORTED,
                        blockNr,
                        "key " + i + " is " + Long.toUnsignedString(node.key(i)) + " after "
                                + Long.toUnsignedString(node.key(i - 1)) + ", keys should ascend");
            }
        }
        if (Long.compareUnsigned(node.key(0), low) < 0 || Long.compareUnsigned(node.key(n - 1), last) > 0) {
            return Problem.of(
                    DamageKind.KEY_OUTSIDE_PARENT,
                    blockNr,
                    "keys " + Long.toUnsignedString(node.key(0)) + " to " + Long.toUnsignedString(node.key(n - 1))
                            + ", the parent has room for " + Long.toUnsignedString(low) + " to "
                            + Long.toUnsignedString(last));
        }
        if (node.isLeaf()) {
            if (leafDepth < 0) {
                leafDepth = depth;
            } else if (leafDepth != depth) {
                return Problem.of(
                        DamageKind.UNEVEN_DEPTH,
                        blockNr,
                        "a leaf at depth " + depth + ", the others are at " + leafDepth);
            }
        }
        return null;
    }

    private boolean lose(Problem problem, long low, long last, boolean isReference, boolean isArrayBlock)
            throws IOException {
        listener.problem(problem);
        long holder = depth == 0 ? NO_HOLDER : blocks[depth - 1];
        listener.lost(new Lost(problem.blockNr(), low, last, holder, isReference, isArrayBlock));
        return true;
    }
}
