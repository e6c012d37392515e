// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.build;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;

/**
 * Builds a btree from entries in ascending order of key.
 *
 * <p>Each level holds back its last full node: when the entries run out, a rest that would be too small for a node (a
 * checker asks for a third of the maximum in all but the root) is evened out with it.
 */
final class TreeBuilder {
    private final SequentialWriter out;
    private final int valueSize;
    private final int max;
    private final BTreeNode full = new BTreeNode();
    private final BTreeNode open = new BTreeNode();
    private boolean hasFull;
    private TreeBuilder parent;

    /** A tree whose leaves hold values of {@code leafValueSize} bytes. */
    TreeBuilder(SequentialWriter out, int leafValueSize) {
        this(out, false, leafValueSize);
    }

    private TreeBuilder(SequentialWriter out, boolean internal, int valueSize) {
        this.out = out;
        this.valueSize = valueSize;
        this.max = BTreeNode.maxEntries(valueSize);
        full.format(SequentialWriter.newBuffer(1), 0, internal, valueSize);
        open.format(SequentialWriter.newBuffer(1), 0, internal, valueSize);
    }

    /** Appends an entry whose value is a block number. */
    void add(long key, long value) throws IOException {
        int at = addKey(key);
        open.valueLong(at, value);
    }

    /** Appends an entry, whose value the caller puts at {@link #valueOffset} of {@link #valueBuffer}. */
    int addKey(long key) throws IOException {
        if (open.nrEntries() == max) {
            makeRoom();
        }
        int at = open.nrEntries();
        open.nrEntries(at + 1);
        open.key(at, key);
        return at;
    }

    ByteBuffer valueBuffer() {
        return open.buffer();
    }

    int valueOffset(int entry) {
        return open.valueOffset(entry);
    }

    private void makeRoom() throws IOException {
        if (hasFull) {
            write(full);
        }
        full.buffer().put(0, open.buffer(), 0, BlockDevice.BLOCK_BYTES);
        full.wrap(full.buffer(), 0);
        hasFull = true;
        open.nrEntries(0);
    }

    private void write(BTreeNode node) throws IOException {
        if (parent == null) {
            parent = new TreeBuilder(out, true, BTreeNode.BLOCK_VALUE_BYTES);
        }
        parent.add(node.key(0), append(node));
    }

    private long append(BTreeNode node) throws IOException {
        clearUnused(node);
        return out.append(BlockType.BTREE_NODE, node.buffer());
    }

    /** Writes what is open and returns the root. A tree without entries is one empty leaf. */
    long finish() throws IOException {
        if (!hasFull && parent == null) {
            return append(open);
        }
        if (hasFull) {
            redistribute();
            write(full);
        }
        write(open);
        return parent.finish();
    }

    private void redistribute() {
        int rest = open.nrEntries();
        if (rest >= max / 2) {
            return;
        }
        int move = (max + rest) / 2 - rest;
        ByteBuffer from = full.buffer();
        ByteBuffer to = open.buffer();
        int keyBytes = 8;
        to.put(BTreeNode.KEYS + move * keyBytes, copy(to, BTreeNode.KEYS, rest * keyBytes), 0, rest * keyBytes);
        to.put(open.valueOffset(move), copy(to, open.valueOffset(0), rest * valueSize), 0, rest * valueSize);
        to.put(BTreeNode.KEYS, from, BTreeNode.KEYS + (max - move) * keyBytes, move * keyBytes);
        to.put(open.valueOffset(0), from, full.valueOffset(max - move), move * valueSize);
        open.nrEntries(rest + move);
        full.nrEntries(max - move);
    }

    private static ByteBuffer copy(ByteBuffer from, int offset, int bytes) {
        byte[] copy = new byte[bytes];
        from.get(offset, copy);
        return ByteBuffer.wrap(copy);
    }

    /** Nothing of earlier nodes goes to the device. */
    private void clearUnused(BTreeNode node) {
        int count = node.nrEntries();
        for (int i = count; i < max; i++) {
            node.key(i, 0);
            for (int b = 0; b < valueSize; b += 4) {
                node.buffer().putInt(node.valueOffset(i) + b, 0);
            }
        }
    }
}
