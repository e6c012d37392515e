// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.persistent.BTree;
import org.dmera.core.persistent.DiskBitset;
import org.dmera.core.persistent.TransactionManager;
import org.dmera.core.persistent.ValueType;

/** The archived writesets that have not been digested: a btree keyed by era, which owns their bitsets. */
final class WritesetTree {
    private final BTree tree;
    private final DiskBitset bitset;

    WritesetTree(TransactionManager tm, long root) {
        this.bitset = new DiskBitset(tm, "archived writeset", 0);
        this.tree = new BTree(tm, new Writesets(tm, new DiskBitset(tm, "archived writeset", 0)), root);
    }

    long root() {
        return tree.root();
    }

    void create() throws IOException {
        tree.create();
    }

    void insert(long era, long nrBits, long bitsetRoot) throws IOException {
        WritesetValue.put(tree.valueToInsert(), 0, nrBits, bitsetRoot);
        tree.insert(era);
    }

    /** Finds the writeset of the lowest era; false when there is none. */
    boolean findLowest() throws IOException {
        return tree.findLowest();
    }

    long foundEra() {
        return tree.foundKey();
    }

    long foundNrBits() {
        return WritesetValue.nrBits(tree.foundData(), tree.foundOffset());
    }

    long foundBitsetRoot() {
        return WritesetValue.root(tree.foundData(), tree.foundOffset());
    }

    void remove(long era) throws IOException {
        tree.remove(era);
    }

    /** Drops one reference to the tree at {@code root}, and with the last one its writesets. */
    void delete(long root) throws IOException {
        tree.delete(root);
    }

    /** Gets each writeset, by ascending era. */
    interface Visitor {
        void writeset(long era, long nrBits, long bitsetRoot) throws IOException;
    }

    void forEach(Visitor visitor) throws IOException {
        tree.forEach((era, leaf, offset) ->
                visitor.writeset(era, WritesetValue.nrBits(leaf, offset), WritesetValue.root(leaf, offset)));
    }

    /** An era and its bitset. */
    record Entry(long era, long nrBits, long root) {}

    /** All of them, by ascending era. */
    List<Entry> entries() throws IOException {
        List<Entry> entries = new ArrayList<>();
        forEach((era, nrBits, root) -> entries.add(new Entry(era, nrBits, root)));
        return entries;
    }

    /** Index of the first of {@code entries} all of whose marks are in those after it; −1 when there is none. */
    int firstSuperseded(List<Entry> entries) throws IOException {
        for (int i = 0; i < entries.size(); i++) {
            if (isSuperseded(entries.get(i), entries.subList(i + 1, entries.size()))) {
                return i;
            }
        }
        return -1;
    }

    private boolean isSuperseded(Entry entry, List<Entry> later) throws IOException {
        long nrWords = DiskBitset.words(entry.nrBits());
        for (long word = 0; word < nrWords; word++) {
            long left = word(entry, word);
            for (int i = 0; i < later.size() && left != 0; i++) {
                left &= ~word(later.get(i), word);
            }
            if (left != 0) {
                return false;
            }
        }
        return true;
    }

    /** A word of the bits, without what is past their end. */
    private long word(Entry entry, long index) throws IOException {
        long bits = entry.nrBits() - (index << 6);
        if (bits <= 0) {
            return 0;
        }
        bitset.root(entry.root());
        return bits < Long.SIZE ? bitset.word(index) & (1L << bits) - 1 : bitset.word(index);
    }

    private record Writesets(TransactionManager tm, DiskBitset bitsets) implements ValueType {
        @Override
        public int sizeBytes() {
            return WritesetValue.BYTES;
        }

        @Override
        public String label() {
            return "writeset tree";
        }

        @Override
        public void addReference(ByteBuffer leaf, int offset) throws IOException {
            tm.spaceMap().add(WritesetValue.root(leaf, offset));
        }

        @Override
        public void release(ByteBuffer leaf, int offset) throws IOException {
            bitsets.delete(WritesetValue.root(leaf, offset));
        }
    }
}
