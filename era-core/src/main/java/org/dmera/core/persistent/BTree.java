// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.DamagedMetadataException;

/**
 * A copy-on-write btree with u64 keys.
 *
 * <p>A change walks down from the root and shadows every node on its way, so the root moves with the first change of a
 * transaction; {@link #root()} says where it is. How a full node makes room is in {@link NodeSplitter}, how nodes are
 * kept full enough on the way to a removal in {@link NodeRebalance}. Both follow the kernel's policies, because they
 * show in the bytes.
 */
public final class BTree {
    private final TransactionManager tm;
    private final ValueType type;
    private final TreeNodes nodes;
    private final NodeSplitter splitter;
    private final NodeRebalance rebalance;
    private final byte[] value;
    private final ByteBuffer valueBuffer;
    private long root;
    private CachedBlock foundLeaf;
    private int foundIndex;

    /** The tree at {@code root} (0: none yet). Nothing is read. */
    public BTree(TransactionManager tm, ValueType type, long root) {
        this.tm = tm;
        this.type = type;
        this.root = root;
        this.nodes = new TreeNodes(tm, type);
        this.splitter = new NodeSplitter(tm, nodes);
        this.rebalance = new NodeRebalance(tm, nodes);
        this.value = new byte[type.sizeBytes()];
        this.valueBuffer = ByteBuffer.wrap(value).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Block number of the root node. */
    public long root() {
        return root;
    }

    /** Points this at another tree of the same kind. */
    public void root(long root) {
        this.root = root;
    }

    /** Makes a new empty tree, one empty leaf, and points this at it. */
    public void create() throws IOException {
        root = nodes.newLeaf().number;
    }

    /** Looks {@code key} up; its value can then be read at {@link #foundOffset()} of {@link #foundData()}. */
    public boolean find(long key) throws IOException {
        long at = root;
        for (int depth = 0; ; depth++) {
            CachedBlock block = nodes.read(at, depth);
            BTreeNode node = block.node();
            int i = node.lowerBound(key);
            if (i < 0) {
                return false;
            }
            if (node.isLeaf()) {
                foundLeaf = block;
                foundIndex = i;
                return node.key(i) == key;
            }
            at = node.valueLong(i);
        }
    }

    /** Finds the lowest key, unless the tree is empty: then false. */
    public boolean findLowest() throws IOException {
        long at = root;
        for (int depth = 0; ; depth++) {
            CachedBlock block = nodes.read(at, depth);
            BTreeNode node = block.node();
            if (node.isLeaf()) {
                foundLeaf = block;
                foundIndex = 0;
                return node.nrEntries() > 0;
            }
            nodes.requireEntries(node, at);
            at = node.valueLong(0);
        }
    }

    /** The key that the last look-up found. Good until the tree is next touched. */
    public long foundKey() {
        return foundLeaf.node().key(foundIndex);
    }

    public ByteBuffer foundData() {
        return foundLeaf.data;
    }

    public int foundOffset() {
        return foundLeaf.node().valueOffset(foundIndex);
    }

    /** The u32 value of a key that has to be there. */
    long lookupUnsignedInt(long key) throws IOException {
        requireFound(find(key), key);
        return Integer.toUnsignedLong(foundData().getInt(foundOffset()));
    }

    /** The u64 value of a key that has to be there. */
    long lookupLong(long key) throws IOException {
        requireFound(find(key), key);
        return foundData().getLong(foundOffset());
    }

    /** What {@link #forEach} hands over, in ascending order of keys. */
    public interface Visitor {
        void entry(long key, ByteBuffer leaf, int valueOffset) throws IOException;
    }

    /** Visits every entry, ascending. The visitor must not change the tree, and blocks are not let go meanwhile. */
    public void forEach(Visitor visitor) throws IOException {
        visit(root, 0, visitor);
    }

    private void visit(long at, int depth, Visitor visitor) throws IOException {
        CachedBlock block = nodes.read(at, depth);
        BTreeNode node = block.node();
        for (int i = 0; i < node.nrEntries(); i++) {
            if (node.isLeaf()) {
                visitor.entry(node.key(i), block.data, node.valueOffset(i));
            } else {
                visit(node.valueLong(i), depth + 1, visitor);
            }
        }
    }

    /** Inserts or overwrites a u32 value. */
    void insertInt(long key, int v) throws IOException {
        valueBuffer.putInt(0, v);
        insert(key);
    }

    /** Inserts or overwrites a u64 value. */
    void insertLong(long key, long v) throws IOException {
        valueBuffer.putLong(0, v);
        insert(key);
    }

    /** The buffer into which the value for {@link #insert} goes, from offset 0. */
    public ByteBuffer valueToInsert() {
        return valueBuffer;
    }

    /**
     * Inserts {@link #valueToInsert()} under {@code key}. A different value that is there is released and overwritten.
     */
    public void insert(long key) throws IOException {
        CachedBlock parent = null;
        int at = -1;
        long next = root;
        for (int depth = 0; ; depth++) {
            CachedBlock current = shadow(parent, at, next, depth);
            if (!hasRoom(current.node(), key)) {
                if (parent == null) {
                    splitter.splitBeneath(current);
                } else {
                    current = splitter.makeRoom(parent, at, current, key);
                }
            }
            BTreeNode node = current.node();
            int i = node.lowerBound(key);
            if (node.isLeaf()) {
                put(current, i, key);
                return;
            }
            if (i < 0) {
                nodes.requireEntries(node, current.number);
                node.key(0, key);
                i = 0;
            }
            next = node.valueLong(i);
            parent = current;
            at = i;
        }
    }

    /** A node for changing, to which entry {@code at} of {@code parent}, or the root, refers then. */
    private CachedBlock shadow(CachedBlock parent, int at, long number, int depth) throws IOException {
        CachedBlock node = nodes.shadow(number, depth);
        if (parent == null) {
            root = node.number;
        } else {
            parent.node().valueLong(at, node.number);
        }
        return node;
    }

    private static boolean hasRoom(BTreeNode node, long key) {
        if (node.nrEntries() < node.maxEntries()) {
            return true;
        }
        int i = node.isLeaf() ? node.lowerBound(key) : -1;
        return i >= 0 && node.key(i) == key;
    }

    private void put(CachedBlock leaf, int i, long key) throws IOException {
        BTreeNode node = leaf.node();
        if (i < 0 || node.key(i) != key) {
            NodeMoves.insertAt(leaf, i + 1, key, value, value.length);
            return;
        }
        int offset = node.valueOffset(i);
        if (!java.util.Arrays.equals(leaf.bytes, offset, offset + value.length, value, 0, value.length)) {
            release(leaf, offset);
        }
        System.arraycopy(value, 0, leaf.bytes, offset, value.length);
    }

    /** Adds to the u32 value of a key that has to be there, shadowing just the way to it. Returns what it was. */
    int overwriteInt(long key, int delta) throws IOException {
        CachedBlock parent = null;
        int at = -1;
        long next = root;
        for (int depth = 0; ; depth++) {
            CachedBlock current = shadow(parent, at, next, depth);
            BTreeNode node = current.node();
            at = node.lowerBound(key);
            requireFound(at >= 0 && (node.isInternal() || node.key(at) == key), key);
            if (node.isLeaf()) {
                int was = node.valueInt(at);
                // What falls to 2 is removed next, with the value as it was.
                if (was + delta >= 3) {
                    node.valueInt(at, was + delta);
                }
                return was;
            }
            next = node.valueLong(at);
            parent = current;
        }
    }

    /** Removes a key that has to be there, and releases its value. */
    public void remove(long key) throws IOException {
        CachedBlock parent = null;
        int at = -1;
        long next = root;
        for (int depth = 0; ; depth++) {
            CachedBlock current = shadow(parent, at, next, depth);
            if (current.node().isInternal()) {
                rebalance.childFor(current, key);
            }
            BTreeNode node = current.node();
            at = node.lowerBound(key);
            requireFound(at >= 0 && (node.isInternal() || node.key(at) == key), key);
            if (node.isLeaf()) {
                release(current, node.valueOffset(at));
                NodeMoves.deleteAt(current, at);
                return;
            }
            next = node.valueLong(at);
            parent = current;
        }
    }

    /** Drops one reference to the tree at {@code root}, and with the last one everything in it. */
    public void delete(long root) throws IOException {
        delete(root, 0);
    }

    private void delete(long at, int depth) throws IOException {
        if (tm.spaceMap().count(at) > 1) {
            tm.spaceMap().drop(at);
            return;
        }
        CachedBlock block = nodes.read(at, depth);
        block.pins++;
        try {
            BTreeNode node = block.node();
            for (int i = 0; i < node.nrEntries(); i++) {
                if (node.isLeaf()) {
                    type.release(block.data, node.valueOffset(i));
                } else {
                    delete(node.valueLong(i), depth + 1);
                    tm.trim();
                }
            }
        } finally {
            block.pins--;
        }
        tm.spaceMap().drop(at);
    }

    private void release(CachedBlock leaf, int offset) throws IOException {
        // Releasing a value may delete a whole tree, which lets go of blocks; this one is still needed.
        leaf.pins++;
        try {
            type.release(leaf.data, offset);
        } finally {
            leaf.pins--;
        }
    }

    /** Of which tree an entry is missing: those that there are differ in the size of their values. */
    private DamageKind missing() {
        return switch (type.sizeBytes()) {
            case Integer.BYTES -> DamageKind.REF_COUNT_MISSING;
            case Long.BYTES -> DamageKind.ARRAY_BLOCK_MISSING;
            default -> DamageKind.ERA_MISSING;
        };
    }

    private void requireFound(boolean found, long key) throws DamagedMetadataException {
        if (!found) {
            throw DamagedMetadataException.inBlock(
                    missing(), root, "root of the " + type.label(), "no entry for " + Long.toUnsignedString(key));
        }
    }
}
