// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.format.Superblock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A btree against a sorted map, with roots that are held while the tree goes on changing, as a metadata snapshot holds
 * them. The reference counts of all blocks are counted anew from the trees.
 */
class BTreeTest {
    /** A held root, and what has to stay below it. */
    private record Held(long root, Map<Long, Long> content) {}

    private MemoryBlockDevice device;
    private TransactionManager tm;
    private BTree tree;
    private final TreeMap<Long, Long> model = new TreeMap<>();
    private final ArrayDeque<Held> held = new ArrayDeque<>();

    private void start(int metadataBlocks, int cacheBlocks) throws IOException {
        device = new MemoryBlockDevice(metadataBlocks);
        tm = TransactionManager.format(device, cacheBlocks);
        tree = new BTree(tm, new PlainLong(), 0);
        tree.create();
    }

    @ParameterizedTest(name = "seed {0}, keys below {1}, {2} roots held, cache of {3}")
    @CsvSource({
        "1, 300,    0, 4096",
        "2, 4000,   0, 16",
        "3, 4000,   2, 4096",
        "4, 60000,  5, 16",
        "5, 1000,   9, 64",
    })
    void staysASortedMapUnderRandomChangesWhileOldRootsAreHeld(long seed, int keys, int maxHeld, int cacheBlocks)
            throws IOException {
        start(6000, cacheBlocks);
        Random random = new Random(seed);
        boolean growing = true;
        for (int round = 0; round < 150; round++) {
            if (random.nextInt(12) == 0) {
                growing = !growing;
            }
            change(random, keys, growing);
            if (held.size() < maxHeld && random.nextInt(3) == 0) {
                tm.spaceMap().add(tree.root());
                held.add(new Held(tree.root(), new TreeMap<>(model)));
            } else if (!held.isEmpty() && random.nextInt(3) == 0) {
                tree.delete(held.poll().root());
            }
            if (random.nextInt(2) == 0) {
                tm.commit(this::storeSpaceMapRoot);
                tm.trim();
            }
            requireAllRight("seed " + seed + ", round " + round);
        }
        while (!held.isEmpty()) {
            tree.delete(held.poll().root());
        }
        tree.delete(tree.root());
        tm.commit(this::storeSpaceMapRoot);
        assertEquals(4, tm.spaceMap().nrAllocated(), "superblock, index, reference-count root and bitmap are left");
    }

    private void change(Random random, int keys, boolean growing) throws IOException {
        int run = 1 + random.nextInt(400);
        long at = random.nextInt(keys);
        for (int i = 0; i < run; i++) {
            boolean insert = random.nextInt(10) < (growing ? 8 : 2);
            at = random.nextInt(3) == 0 ? random.nextInt(keys) : (at + 1) % keys;
            if (insert) {
                long value = random.nextLong();
                tree.insertLong(at, value);
                model.put(at, value);
            } else {
                Map.Entry<Long, Long> victim = model.ceilingEntry(at);
                if (victim != null) {
                    tree.remove(victim.getKey());
                    model.remove(victim.getKey());
                }
            }
        }
    }

    @Test
    void keysInOrderMakeATreeOfThreeLevels() throws IOException {
        start(2000, 64);
        for (long key = 0; key < 70_000; key++) {
            tree.insertLong(key, ~key);
            if (key % 1000 == 0) {
                tm.trim();
            }
        }
        for (long key = 0; key < 70_000; key++) {
            assertEquals(~key, tree.lookupLong(key));
        }
        assertFalse(tree.find(70_000));
        tm.commit(this::storeSpaceMapRoot);
        for (long key = 69_999; key >= 0; key -= 2) {
            tree.remove(key);
        }
        for (long key = 0; key < 70_000; key += 2) {
            model.put(key, ~key);
        }
        tm.commit(this::storeSpaceMapRoot);
        requireAllRight("after removing every other key");
    }

    @Test
    void theLowestKeyIsFound() throws IOException {
        start(64, 64);
        assertFalse(tree.findLowest());
        for (long key : new long[] {900, 7, 0xffff_ffff_ffffL, 8}) {
            tree.insertLong(key, key);
        }
        assertTrue(tree.findLowest());
        assertEquals(7, tree.foundKey());
    }

    @Test
    void removingWhatIsNotThereIsAnError() throws IOException {
        start(64, 64);
        tree.insertLong(1, 1);
        assertThrows(DamagedMetadataException.class, () -> tree.remove(2));
    }

    @Test
    void aFullDeviceIsAnErrorThatSaysSo() throws IOException {
        start(12, 64);
        NoSpaceException e = assertThrows(NoSpaceException.class, () -> {
            for (long key = 0; key < 10_000; key++) {
                tree.insertLong(key, key);
            }
        });
        assertTrue(e.getMessage().startsWith("no space left on the metadata device: none of its 12 blocks"));
    }

    private void storeSpaceMapRoot() {
        tm.spaceMap().storeRoot(tm.superblock());
    }

    private void requireAllRight(String when) throws IOException {
        Map<Long, Integer> references = new HashMap<>();
        requireContent(when, tree.root(), model);
        count(tree.root(), references, when);
        for (Held h : held) {
            requireContent(when + ", held", h.root(), h.content());
            count(h.root(), references, when);
        }
        countSpaceMap(references, when);
        for (long block = 0; block < tm.spaceMap().nrBlocks(); block++) {
            assertEquals(
                    (long) references.getOrDefault(block, 0), tm.spaceMap().count(block), when + ", block " + block);
        }
    }

    private void requireContent(String when, long root, Map<Long, Long> expected) throws IOException {
        TreeMap<Long, Long> found = new TreeMap<>();
        long[] last = {-1};
        new BTree(tm, new PlainLong(), root).forEach((key, leaf, offset) -> {
            assertTrue(key > last[0], when + ": keys ascend");
            last[0] = key;
            found.put(key, leaf.getLong(offset));
        });
        assertEquals(expected, found, when);
    }

    /** Counts the reference to a node, and with the first one those in it. */
    private void count(long at, Map<Long, Integer> references, String when) throws IOException {
        if (references.merge(at, 1, Integer::sum) > 1) {
            return;
        }
        CachedBlock block = new TreeNodes(tm, new PlainLong()).read(at, 0);
        BTreeNode node = block.node();
        if (node.isLeaf()) {
            return;
        }
        for (int i = 0; i < node.nrEntries(); i++) {
            BTreeNode child = new TreeNodes(tm, new PlainLong())
                    .read(node.valueLong(i), 0)
                    .node();
            assertTrue(child.nrEntries() > 0, when + ": no empty child");
            assertTrue(node.key(i) <= child.key(0), when + ": a child's first key is not below its parent's");
            if (i + 1 < node.nrEntries()) {
                assertTrue(child.key(child.nrEntries() - 1) < node.key(i + 1), when + ": children don't overlap");
            }
            count(node.valueLong(i), references, when);
        }
    }

    private void countSpaceMap(Map<Long, Integer> references, String when) throws IOException {
        Superblock root = new Superblock().wrap(ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN), 0);
        tm.spaceMap().storeRoot(root);
        references.merge(0L, 1, Integer::sum);
        references.merge(root.spaceMapBitmapRoot(), 1, Integer::sum);
        countCounts(root.spaceMapRefCountRoot(), references);
        // Bitmaps move as counts change; the index in memory says where they are, the one on the device where they
        // were.
        for (long bitmap : tm.spaceMap().bitmapBlocks()) {
            references.merge(bitmap, 1, Integer::sum);
        }
        assertTrue(
                tm.spaceMap().bitmapBlocks().length * (long) BitmapBlock.ENTRIES
                        >= tm.spaceMap().nrBlocks(),
                when);
    }

    private void countCounts(long at, Map<Long, Integer> references) throws IOException {
        references.merge(at, 1, Integer::sum);
        BTreeNode node = tm.read(at, org.dmera.core.block.BlockType.BTREE_NODE).node();
        for (int i = 0; node.isInternal() && i < node.nrEntries(); i++) {
            countCounts(node.valueLong(i), references);
        }
    }

    /** Values that refer to nothing. */
    private static final class PlainLong implements ValueType {
        @Override
        public int sizeBytes() {
            return 8;
        }

        @Override
        public String label() {
            return "test tree";
        }

        @Override
        public void addReference(ByteBuffer leaf, int offset) {}

        @Override
        public void release(ByteBuffer leaf, int offset) {}
    }
}
