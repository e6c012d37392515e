// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.format;

import java.util.ArrayList;
import java.util.List;

/**
 * What the header of a btree node and of an array block may hold, each rule once, for the check, the readers and the
 * transactional engine alike. A broken rule is a text, "found X, expected Y"; what it means is for the reader to decide. Where
 * no rule is broken, every accessor is in bounds for indexes below {@code nr_entries}.
 */
public final class HeaderRules {
    private static final int FLAGS = 1;
    private static final int VALUE_SIZE = 2;
    private static final int MAX_ENTRIES = 4;
    private static final int NR_ENTRIES = 8;

    private HeaderRules() {}

    /** Which rules a node breaks, as bits: nothing is allocated for a sound one. */
    static int broken(BTreeNode node, int leafValueBytes) {
        int flags = node.flags();
        return (flags == BTreeNode.FLAG_INTERNAL || flags == BTreeNode.FLAG_LEAF ? 0 : FLAGS)
                | brokenSizes(
                        node.valueSize(),
                        valueBytes(node, leafValueBytes),
                        node.maxEntries(),
                        maxEntries(node, leafValueBytes),
                        node.nrEntries());
    }

    /** Likewise of an array block. */
    static int broken(ArrayBlock block, int valueBytes) {
        return brokenSizes(
                block.valueSize(),
                valueBytes,
                block.maxEntries(),
                ArrayBlock.maxEntries(valueBytes),
                block.nrEntries());
    }

    private static int brokenSizes(int valueSize, int valueBytes, int stored, int maxEntries, int nrEntries) {
        return (valueSize == valueBytes ? 0 : VALUE_SIZE)
                | (stored == maxEntries ? 0 : MAX_ENTRIES)
                | (nrEntries >= 0 && nrEntries <= maxEntries ? 0 : NR_ENTRIES);
    }

    private static int valueBytes(BTreeNode node, int leafValueBytes) {
        return node.flags() == BTreeNode.FLAG_INTERNAL ? BTreeNode.BLOCK_VALUE_BYTES : leafValueBytes;
    }

    private static int maxEntries(BTreeNode node, int leafValueBytes) {
        return BTreeNode.maxEntries(valueBytes(node, leafValueBytes));
    }

    /**
     * {@return why a block can't be a node of a tree; empty when it can}
     *
     * @param node whose seal has been verified
     * @param leafValueBytes bytes of a value in the tree's leaves
     */
    public static List<String> problems(BTreeNode node, int leafValueBytes) {
        int broken = broken(node, leafValueBytes);
        List<String> problems = new ArrayList<>(0);
        if ((broken & FLAGS) != 0) {
            problems.add("flags are " + Integer.toUnsignedString(node.flags()) + ", expected 1 (internal) or 2 (leaf)");
        }
        addSizes(
                problems,
                broken,
                node.valueSize(),
                valueBytes(node, leafValueBytes),
                node.maxEntries(),
                maxEntries(node, leafValueBytes),
                node.nrEntries());
        return problems;
    }

    /**
     * {@return why a block can't be one of an array; empty when it can}
     *
     * @param block whose seal has been verified
     * @param valueBytes bytes of a value
     */
    public static List<String> problems(ArrayBlock block, int valueBytes) {
        List<String> problems = new ArrayList<>(0);
        addSizes(
                problems,
                broken(block, valueBytes),
                block.valueSize(),
                valueBytes,
                block.maxEntries(),
                ArrayBlock.maxEntries(valueBytes),
                block.nrEntries());
        return problems;
    }

    private static void addSizes(
            List<String> problems, int broken, int valueSize, int valueBytes, int stored, int maxEntries, int nr) {
        if ((broken & VALUE_SIZE) != 0) {
            problems.add("value_size is " + Integer.toUnsignedString(valueSize) + ", expected " + valueBytes);
        }
        if ((broken & MAX_ENTRIES) != 0) {
            problems.add("max_entries is " + Integer.toUnsignedString(stored) + ", expected " + maxEntries);
        }
        if ((broken & NR_ENTRIES) != 0) {
            problems.add("nr_entries is " + Integer.toUnsignedString(nr) + ", expected at most " + maxEntries);
        }
    }

    /**
     * {@return a message of such problems}
     *
     * @param problems at least one
     */
    public static String message(List<String> problems) {
        return "impossible header: " + String.join("; ", problems);
    }
}
