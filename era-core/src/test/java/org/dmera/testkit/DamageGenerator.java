// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.Anatomy.Part;
import org.dmera.testkit.Anatomy.Role;

/** Makes damaged copies of sound metadata: each structure × each kind of damage that it can have. */
public final class DamageGenerator {
    /** One damaged copy, made when it is asked for. */
    public static final class Case {
        private final Role role;
        private final String kind;
        private final long originBlocks;
        private final Supplier<byte[]> maker;
        private final boolean interior;

        private Case(Role role, boolean interior, String kind, long originBlocks, Supplier<byte[]> maker) {
            this.role = role;
            this.interior = interior;
            this.kind = kind;
            this.originBlocks = originBlocks;
            this.maker = maker;
        }

        /** The part that is damaged. */
        public Role role() {
            return role;
        }

        /** Whether it is a node above other nodes. */
        public boolean isInterior() {
            return interior;
        }

        /** What was done to it. */
        public String kind() {
            return kind;
        }

        /** How many origin blocks may be widened by it. */
        public long originBlocks() {
            return originBlocks;
        }

        /** The damaged metadata device. */
        public byte[] image() {
            return maker.get();
        }

        @Override
        public String toString() {
            return role + (interior ? " (interior): " : ": ") + kind;
        }
    }

    private final byte[] sound;
    private final Anatomy anatomy;
    private final Random random;
    private final List<Case> cases = new ArrayList<>();

    private DamageGenerator(byte[] sound, long seed) {
        this.sound = sound;
        this.anatomy = new Anatomy(sound);
        this.random = new Random(seed);
    }

    /**
     * All cases for {@code sound}. Of each role one block is taken, at random; where there are interior nodes, one of
     * those too.
     *
     * @param older an earlier state of the same device, for stale blocks, or null
     */
    public static List<Case> cases(byte[] sound, byte[] older, long seed) {
        DamageGenerator generator = new DamageGenerator(sound, seed);
        for (Role role : Role.values()) {
            List<Part> parts = generator.anatomy.parts(role);
            if (!parts.isEmpty()) {
                generator.oneOf(parts);
                if (older != null) {
                    generator.stale(parts, older);
                }
            }
        }
        generator.counts();
        return generator.cases;
    }

    private void oneOf(List<Part> parts) {
        Part part = parts.get(random.nextInt(parts.size()));
        anyBlock(part);
        byRole(part);
        List<Part> others = parts.stream()
                .filter(p -> anatomy.isInterior(p) != anatomy.isInterior(part))
                .toList();
        if (part.type() == BlockType.BTREE_NODE && !others.isEmpty()) {
            Part other = others.get(random.nextInt(others.size()));
            anyBlock(other);
            byRole(other);
        }
    }

    private void anyBlock(Part part) {
        bytes(part, "zeroed", b -> fill(b, part.blockNr(), 0));
        bytes(part, "one bit flipped", b -> b.flip(at(part) + random.nextInt(4096), random.nextInt(8)));
        bytes(part, "torn: second half zeroed", b -> {
            for (int i = 2048; i < 4096; i++) {
                b.put(at(part) + i, 0);
            }
            // Where that half was zero already, a torn write would have changed nothing.
            b.put(at(part) + 2048, 0xA5);
        });
        bytes(part, "garbage", b -> fill(b, part.blockNr(), -1));
        Part other = anatomy.parts().stream()
                .filter(p -> p.type() == part.type() && p.blockNr() != part.blockNr())
                .findFirst()
                .orElse(anatomy.parts().get(part.blockNr() == 0 ? 1 : 0));
        bytes(part, "swapped with block of the same kind", b -> b.swap(part.blockNr(), other.blockNr()));
        resealed(part, "garbage, resealed", b -> {
            byte[] noise = new byte[4096];
            random.nextBytes(noise);
            b.put(at(part), noise);
        });
        bytes(part, "resealed as another kind", b -> b.seal(otherKind(part.type()), part.blockNr()));
    }

    private static BlockType otherKind(BlockType type) {
        return type == BlockType.ARRAY_BLOCK ? BlockType.BTREE_NODE : BlockType.ARRAY_BLOCK;
    }

    private void byRole(Part part) {
        switch (part.type()) {
            case SUPERBLOCK -> superblock(part);
            case BTREE_NODE -> {
                node(part);
                if (anatomy.isInterior(part)) {
                    interior(part);
                }
            }
            case ARRAY_BLOCK -> array(part);
            case INDEX -> index(part);
            case BITMAP -> {
                resealed(part, "all counts 0, resealed", b -> b.zero(at(part) + 16, 4080));
                resealed(part, "all counts 1, resealed", b -> b.fill(at(part) + 16, 4080, (byte) 0xAA));
            }
        }
    }

    private void superblock(Part part) {
        resealed(part, "magic, resealed", b -> b.putLong(at(part) + Superblock.MAGIC_OFFSET, 1));
        resealed(part, "version 2, resealed", b -> b.putInt(at(part) + Superblock.VERSION_OFFSET, 2));
        resealed(part, "data_block_size 3, resealed", b -> b.putInt(at(part) + Superblock.DATA_BLOCK_SIZE, 3));
        resealed(
                part, "metadata_block_size 16, resealed", b -> b.putInt(at(part) + Superblock.METADATA_BLOCK_SIZE, 16));
        Superblock sb = new Superblock().wrap(ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN), at(part));
        if (part.role() == Role.SUPERBLOCK && sb.nrBlocks() > 1) {
            resealed(
                    part,
                    "nr_blocks one too few, resealed",
                    b -> b.putInt(Superblock.NR_BLOCKS, (int) sb.nrBlocks() - 1));
            resealed(part, "nr_blocks above 2^31, resealed", b -> b.putInt(Superblock.NR_BLOCKS, -2));
        }
        root(part, "writeset tree root out of range", Superblock.WRITESET_TREE_ROOT, 1L << 40);
        root(part, "era array root out of range", Superblock.ERA_ARRAY_ROOT, 1L << 40);
        root(part, "era array root 0", Superblock.ERA_ARRAY_ROOT, 0);
        root(part, "era array root is the writeset tree", Superblock.ERA_ARRAY_ROOT, sb.writesetTreeRoot());
        root(part, "writeset tree root is the era array", Superblock.WRITESET_TREE_ROOT, sb.eraArrayRoot());
        if (part.role() == Role.SUPERBLOCK) {
            if (sb.currentWritesetRoot() != 0) {
                root(part, "current writeset forgotten", Superblock.CURRENT_WRITESET_ROOT, 0);
            }
            flat(part, "unknown flag, resealed", b -> b.putInt(Superblock.FLAGS, 0x100));
            flat(part, "space map root out of range", b -> b.putLong(Superblock.SM_BITMAP_ROOT, 1L << 40));
            flat(part, "ref-count root out of range", b -> b.putLong(Superblock.SM_REF_COUNT_ROOT, -1));
            flat(part, "space map larger than the device", b -> b.putLong(Superblock.SM_NR_BLOCKS, 1L << 40));
            flat(part, "space map smaller than the device", b -> b.putLong(Superblock.SM_NR_BLOCKS, 4));
            flat(
                    part,
                    "nr_allocated one too many",
                    b -> b.putLong(Superblock.SM_NR_ALLOCATED, sb.spaceMapNrAllocated() + 1));
            flat(
                    part,
                    "nr_allocated one too few",
                    b -> b.putLong(Superblock.SM_NR_ALLOCATED, sb.spaceMapNrAllocated() - 1));
            flat(part, "snapshot out of range", b -> b.putLong(Superblock.METADATA_SNAP, 1L << 40));
            if (!anatomy.parts(Role.WRITESET_BLOCK).isEmpty()) {
                resealed(part, "current era 1 (below a writeset), resealed", b -> b.putInt(Superblock.CURRENT_ERA, 1));
            }
        }
    }

    private void node(Part part) {
        int at = at(part);
        BTreeNode node = new BTreeNode().wrap(ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN), at);
        int n = node.nrEntries();
        resealed(part, "flags 3, resealed", b -> b.putInt(at + BTreeNode.FLAGS, 3));
        resealed(
                part,
                "nr_entries above max, resealed",
                b -> b.putInt(at + BTreeNode.NR_ENTRIES, node.maxEntries() + 1));
        resealed(part, "nr_entries negative, resealed", b -> b.putInt(at + BTreeNode.NR_ENTRIES, -5));
        resealed(part, "value_size 16, resealed", b -> b.putInt(at + BTreeNode.VALUE_SIZE, 16));
        resealed(part, "max_entries 1000, resealed", b -> b.putInt(at + BTreeNode.MAX_ENTRIES, 1000));
        boolean refers = part.role() != Role.REF_COUNT_TREE;
        if (n > 0 && refers) {
            int value = node.valueOffset(n - 1) + node.valueSize() - 8;
            resealed(part, "entry out of range, resealed", b -> b.putLong(value, 1L << 50));
            resealed(part, "entry leads back to the node, resealed", b -> b.putLong(value, part.blockNr()));
            resealed(part, "entry leads to the superblock, resealed", b -> b.putLong(value, 0));
            resealed(part, "one entry fewer, resealed", b -> b.putInt(at + BTreeNode.NR_ENTRIES, n - 1));
            resealed(
                    part,
                    "last key far too high, resealed",
                    b -> b.putLong(at + BTreeNode.KEYS + 8 * (n - 1), 1L << 40));
        }
        if (n > 1 && refers) {
            int last = node.valueOffset(n - 1) + node.valueSize() - 8;
            int first = node.valueOffset(0) + node.valueSize() - 8;
            resealed(part, "two entries lead to one block, resealed", b -> b.putLong(last, b.getLong(first)));
            resealed(part, "first entry gone, resealed", b -> {
                b.move(at + BTreeNode.KEYS + 8, at + BTreeNode.KEYS, 8 * (n - 1));
                b.move(node.valueOffset(1), node.valueOffset(0), node.valueSize() * (n - 1));
                b.putInt(at + BTreeNode.NR_ENTRIES, n - 1);
            });
            resealed(part, "keys in the wrong order, resealed", b -> {
                long key = b.getLong(at + BTreeNode.KEYS);
                b.putLong(at + BTreeNode.KEYS, b.getLong(at + BTreeNode.KEYS + 8));
                b.putLong(at + BTreeNode.KEYS + 8, key);
            });
        }
    }

    /** Damage that only a node above other nodes can have. */
    private void interior(Part part) {
        int at = at(part);
        ByteBuffer bytes = ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN);
        BTreeNode node = new BTreeNode().wrap(bytes, at);
        int i = random.nextInt(node.nrEntries());
        int child = (int) node.valueLong(i);
        int sibling = (int) node.valueLong(i == 0 ? node.nrEntries() - 1 : i - 1);
        bytes(part, "swapped with a child", b -> b.swap(part.blockNr(), child));
        bytes(part, "two children swapped", b -> b.swap(child, sibling));
        int value = node.valueOffset(i);
        Part foreign = anatomy.parts().stream()
                .filter(p -> p.type() == BlockType.BTREE_NODE && p.role() != part.role())
                .reduce((a, b) -> b)
                .orElseThrow();
        resealed(part, "entry leads to another tree, resealed", b -> b.putLong(value, foreign.blockNr()));
        resealed(
                part,
                "entry leads to the index, resealed",
                b -> b.putLong(value, anatomy.parts(Role.INDEX).get(0).blockNr()));
        // What copying on write leaves behind: the same keys, with other blocks below them.
        int older = anatomy.freeBlock();
        resealed(part, "entry leads to an older version of the child, resealed", b -> {
            b.put(older * 4096, java.util.Arrays.copyOfRange(sound, child * 4096, child * 4096 + 4096));
            BTreeNode stale = new BTreeNode().wrap(b.bytes, older * 4096);
            int last = stale.valueOffset(stale.nrEntries() - 1) + stale.valueSize() - 8;
            b.putLong(last, staleCopy(b, (int) b.getLong(last), older + 1));
            b.seal(BlockType.BTREE_NODE, older);
            b.putLong(value, older);
        });
    }

    /** A copy in a free block of what is below an entry, with no mark in it; returns its block. */
    private static int staleCopy(Bytes b, int blockNr, int free) {
        byte[] copy = new byte[4096];
        b.bytes.get(blockNr * 4096, copy);
        b.put(free * 4096, copy);
        BlockType type = new BlockSeal().identify(b.bytes, blockNr * 4096);
        if (type == BlockType.ARRAY_BLOCK) {
            b.zero(free * 4096 + ArrayBlock.VALUES, 4096 - ArrayBlock.VALUES);
        }
        b.seal(type, free);
        return free;
    }

    private void array(Part part) {
        int at = at(part);
        ArrayBlock array = new ArrayBlock().wrap(ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN), at);
        int n = array.nrEntries();
        resealed(part, "one entry fewer, resealed", b -> b.putInt(at + ArrayBlock.NR_ENTRIES, n - 1));
        resealed(
                part,
                "nr_entries above max, resealed",
                b -> b.putInt(at + ArrayBlock.NR_ENTRIES, array.maxEntries() + 1));
        resealed(part, "value_size 2, resealed", b -> b.putInt(at + ArrayBlock.VALUE_SIZE, 2));
        if (n < array.maxEntries()) {
            resealed(part, "one entry more, resealed", b -> b.putInt(at + ArrayBlock.NR_ENTRIES, n + 1));
        }
        if (array.valueSize() == ArrayBlock.ERA_BYTES) {
            resealed(part, "era above the current one, resealed", b -> b.putInt(at + ArrayBlock.VALUES, 1 << 20));
            resealed(part, "absurd era, resealed", b -> b.putInt(at + ArrayBlock.VALUES, -3));
        }
    }

    private void index(Part part) {
        int entry = at(part) + IndexBlock.ENTRIES_OFFSET;
        flat(part, "bitmap out of range, resealed", b -> b.putLong(entry, 1L << 40));
        flat(part, "bitmap is the index, resealed", b -> b.putLong(entry, part.blockNr()));
        Part eras = anatomy.parts(Role.ERA_NODE).get(0);
        flat(part, "bitmap is the era array's root, resealed", b -> b.putLong(entry, eras.blockNr()));
        flat(part, "nr_free one too many", b -> b.putInt(entry + 8, b.getInt(entry + 8) + 1));
        flat(part, "nr_free one too few", b -> b.putInt(entry + 8, b.getInt(entry + 8) - 1));
        flat(part, "none_free_before too high", b -> b.putInt(entry + 12, BitmapBlock.ENTRIES));
    }

    /** Blocks that {@code older} has at the same place with another content. */
    private void stale(List<Part> parts, byte[] older) {
        for (Part part : parts) {
            int at = at(part);
            ByteBuffer before = ByteBuffer.wrap(older, at, 4096);
            if (part.role() != Role.SUPERBLOCK
                    && !before.equals(ByteBuffer.wrap(sound, at, 4096))
                    && new BlockSeal().identify(ByteBuffer.wrap(older).order(ByteOrder.LITTLE_ENDIAN), at) != null) {
                bytes(
                        part,
                        "stale: an older block in its place",
                        b -> b.put(at, java.util.Arrays.copyOfRange(older, at, at + 4096)));
                return;
            }
        }
    }

    private void counts() {
        Part bitmap = anatomy.parts(Role.BITMAP).get(0);
        BitmapBlock stored = new BitmapBlock();
        Part used = anatomy.parts(Role.ERA_NODE).get(0);
        int free = anatomy.freeBlock();
        flat(
                bitmap,
                "a used block counted as free",
                b -> stored.wrap(b.bytes, at(bitmap)).count(used.blockNr(), 0));
        flat(
                bitmap,
                "count one too high",
                b -> stored.wrap(b.bytes, at(bitmap)).count(used.blockNr(), 1 + stored.count(used.blockNr())));
        flat(
                bitmap,
                "the superblock counted as free",
                b -> stored.wrap(b.bytes, at(bitmap)).count(0, 0));
        flat(bitmap, "leak", b -> stored.wrap(b.bytes, at(bitmap)).count(free, 1));
        flat(
                bitmap,
                "count in a tree that has none",
                b -> stored.wrap(b.bytes, at(bitmap)).count(used.blockNr(), 3));
        flat(
                bitmap,
                "leak past the device's end",
                b -> stored.wrap(b.bytes, at(bitmap)).count(BitmapBlock.ENTRIES - 1, 1));
        Part tree = anatomy.parts(Role.REF_COUNT_TREE).get(0);
        flat(tree, "entry for a block with count 1", b -> {
            b.putInt(at(tree) + BTreeNode.NR_ENTRIES, 1);
            b.putLong(at(tree) + BTreeNode.KEYS, used.blockNr());
            b.putInt(new BTreeNode().wrap(b.bytes, at(tree)).valueOffset(0), 3);
        });
    }

    private void root(Part part, String kind, int offset, long value) {
        add(part, kind, 0, b -> {
            b.putLong(at(part) + offset, value);
            b.seal(part.type(), part.blockNr());
        });
    }

    /** Damage that no mark hangs on. */
    private void flat(Part part, String kind, Consumer<Bytes> change) {
        add(part, kind, 0, b -> {
            change.accept(b);
            b.seal(part.type(), part.blockNr());
        });
    }

    private void resealed(Part part, String kind, Consumer<Bytes> change) {
        bytes(part, kind, b -> {
            change.accept(b);
            b.seal(part.type(), part.blockNr());
        });
    }

    private void bytes(Part part, String kind, Consumer<Bytes> change) {
        long widened = part.role() == Role.SUPERBLOCK ? Integer.MAX_VALUE : part.originBlocks();
        // What stands elsewhere can be put back, and a node above others follows from those below it.
        boolean costsNothing =
                part.type() != BlockType.SUPERBLOCK && kind.contains("swapped") || anatomy.isInterior(part);
        add(part, kind, costsNothing ? 0 : widened, change);
    }

    private void add(Part part, String kind, long originBlocks, Consumer<Bytes> change) {
        long seed = random.nextLong();
        cases.add(new Case(part.role(), anatomy.isInterior(part), kind, originBlocks, () -> {
            random.setSeed(seed);
            byte[] image = sound.clone();
            change.accept(new Bytes(image));
            return image;
        }));
    }

    private void fill(Bytes b, int blockNr, int with) {
        byte[] block = new byte[4096];
        if (with != 0) {
            random.nextBytes(block);
        }
        b.put(blockNr * 4096, block);
    }

    private static int at(Part part) {
        return part.blockNr() * 4096;
    }

    /** Little-endian access to a copy, with seals. */
    private static final class Bytes {
        final ByteBuffer bytes;

        Bytes(byte[] image) {
            bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        }

        void put(int at, int value) {
            bytes.put(at, (byte) value);
        }

        void flip(int at, int bit) {
            bytes.put(at, (byte) (bytes.get(at) ^ 1 << bit));
        }

        void put(int at, byte[] block) {
            bytes.put(at, block);
        }

        void putInt(int at, int value) {
            bytes.putInt(at, value);
        }

        int getInt(int at) {
            return bytes.getInt(at);
        }

        void putLong(int at, long value) {
            bytes.putLong(at, value);
        }

        long getLong(int at) {
            return bytes.getLong(at);
        }

        void zero(int at, int n) {
            fill(at, n, (byte) 0);
        }

        void fill(int at, int n, byte with) {
            for (int i = 0; i < n; i++) {
                bytes.put(at + i, with);
            }
        }

        void move(int from, int to, int n) {
            byte[] moved = new byte[n];
            bytes.get(from, moved);
            bytes.put(to, moved);
        }

        void swap(int a, int b) {
            byte[] first = new byte[4096];
            byte[] second = new byte[4096];
            bytes.get(a * 4096, first);
            bytes.get(b * 4096, second);
            bytes.put(a * 4096, second);
            bytes.put(b * 4096, first);
        }

        void seal(BlockType type, int blockNr) {
            new BlockSeal().seal(type, bytes, blockNr * 4096, blockNr);
        }
    }
}
