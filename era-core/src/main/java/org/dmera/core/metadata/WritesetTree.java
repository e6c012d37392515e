// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.format.WritesetValue;
import org.dmera.core.persistent.BTree;
import org.dmera.core.persistent.DiskBitset;
import org.dmera.core.persistent.TransactionManager;
import org.dmera.core.persistent.ValueType;

/** The archived writesets that have not been digested: a btree keyed by era, which owns their bitsets. */
final class WritesetTree {
    private final BTree tree;

    WritesetTree(TransactionManager tm, long root) {
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
