// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.BTreeNode;

/** Damages sound metadata in one of several ways, at random; the same random numbers do the same damage. */
public final class RepairDamage {
    private static final int BLOCK = BlockDevice.BLOCK_BYTES;

    /** What is done to the metadata. */
    public enum Kind {
        ONE_BROKEN_BLOCK,
        TWO_BROKEN_BLOCKS,
        THREE_BROKEN_BLOCKS,
        FOUR_TO_EIGHT_BROKEN_BLOCKS,
        TWO_SWAPPED_BLOCKS,
        THREE_BLOCKS_IN_A_CIRCLE,
        /** A block holds what it held before: its last write was lost. */
        STALE_BLOCK,
        /** The same of a node, and a block of the trees is broken. An older array block alone can't be told, nor can a node without a map. */
        STALE_NODE_AND_A_BROKEN_BLOCK,
        /** A node holds, under its own number, what the same node of an older state holds. */
        STALE_NODE,
        /** An entry of a node leads where it led before. */
        STALE_POINTER,
        /** A node has wrong keys, a wrong header, or leads anywhere, under a valid seal. */
        WRONG_NODE,
        /** A write of one block went to another's place; the block itself holds what it held before. */
        MISDIRECTED_WRITE,
        /** Blocks that follow each other, 2 to 32, are zeroes or noise. */
        BROKEN_REGION,
        /** The device ends too early. */
        CUT_OFF,
        /** A data block of an array has a wrong header, eras to come, or bits beyond its end, under a valid seal. */
        WRONG_ARRAY_BLOCK,
        /** The space map counts wrongly, under valid seals. */
        WRONG_SPACE_MAP,
        /** Block 0 holds an older superblock. */
        STALE_SUPERBLOCK,
        STALE_SUPERBLOCK_AND_A_BROKEN_BLOCK,
        /** A field of the superblock is wrong, under a valid seal. */
        WRONG_SUPERBLOCK,
        /** Something else has written into the part of block 0 that the format leaves empty. */
        WRITTEN_OVER_SUPERBLOCK,
        LOST_SUPERBLOCK,
        LOST_SUPERBLOCK_AND_A_BROKEN_BLOCK,
        LOST_SUPERBLOCK_AND_CUT_OFF;

        /** Whether the superblock is there, current, and can be had back for certain. */
        public boolean leavesSuperblock() {
            return ordinal() < STALE_SUPERBLOCK.ordinal() || this == WRITTEN_OVER_SUPERBLOCK;
        }

        /** Whether the superblock can't be had back. */
        public boolean losesSuperblock() {
            return ordinal() >= LOST_SUPERBLOCK.ordinal();
        }
    }

    private final RepairSubject subject;
    private final Random random;
    private final List<Integer> used = new ArrayList<>();
    /** Those of the trees with marks. */
    private final List<Integer> trees = new ArrayList<>();

    private final List<Integer> sealed = new ArrayList<>();
    private final Map<Integer, byte[]> changed = new HashMap<>();
    private final BlockSeal seal = new BlockSeal();
    private final StringBuilder done = new StringBuilder();
    private int sizeBlocks;

    private RepairDamage(RepairSubject subject, Random random) {
        this.subject = subject;
        this.random = random;
        sizeBlocks = subject.image().length / BLOCK;
        for (Anatomy.Part part : new Anatomy(subject.image()).parts()) {
            if (part.blockNr() != 0) {
                used.add(part.blockNr());
                boolean isOfMap = part.type() == BlockType.INDEX
                        || part.type() == BlockType.BITMAP
                        || part.role() == Anatomy.Role.REF_COUNT_TREE;
                if (!isOfMap) {
                    trees.add(part.blockNr());
                }
            }
        }
        for (int b = 1; b < subject.image().length / BLOCK; b++) {
            if (seal.identify(ByteBuffer.wrap(subject.image()).order(ByteOrder.LITTLE_ENDIAN), b * BLOCK) != null) {
                sealed.add(b);
            }
        }
    }

    /** The blocks that are changed, and what was done; or null when the subject can't be damaged in this way. */
    public static RepairDamage of(RepairSubject subject, Kind kind, Random random) {
        RepairDamage damage = new RepairDamage(subject, random);
        boolean isDone = damage.inflict(kind);
        return isDone && (!damage.changed.isEmpty() || kind == Kind.CUT_OFF) ? damage : null;
    }

    /** Blocks that the device has now. */
    public int sizeBlocks() {
        return sizeBlocks;
    }

    /** The damaged metadata, to be changed at will. */
    public MemoryBlockDevice applied() {
        byte[] image = Arrays.copyOf(subject.image(), sizeBlocks * BLOCK);
        changed.forEach((b, bytes) -> {
            if (b < sizeBlocks) {
                System.arraycopy(bytes, 0, image, b * BLOCK, BLOCK);
            }
        });
        return new MemoryBlockDevice(image);
    }

    /** What the changed blocks hold now. */
    public Map<Integer, byte[]> changed() {
        return changed;
    }

    @Override
    public String toString() {
        return done.toString().trim();
    }

    private boolean inflict(Kind kind) {
        return switch (kind) {
            case ONE_BROKEN_BLOCK -> breakBlocks(1);
            case TWO_BROKEN_BLOCKS -> breakBlocks(2);
            case THREE_BROKEN_BLOCKS -> breakBlocks(3);
            case FOUR_TO_EIGHT_BROKEN_BLOCKS -> breakBlocks(4 + random.nextInt(5));
            case TWO_SWAPPED_BLOCKS -> rotate(2);
            case THREE_BLOCKS_IN_A_CIRCLE -> rotate(3);
            case STALE_BLOCK -> stale(used);
            case STALE_NODE_AND_A_BROKEN_BLOCK -> stale(nodes(used)) && breakTree();
            case STALE_NODE -> staleNode();
            case STALE_POINTER -> stalePointer();
            case WRONG_NODE -> wrongNode();
            case MISDIRECTED_WRITE -> misdirect();
            case BROKEN_REGION -> breakRegion();
            case CUT_OFF -> cutOff();
            case WRONG_ARRAY_BLOCK -> wrongArrayBlock();
            case WRONG_SPACE_MAP -> wrongSpaceMap();
            case WRONG_SUPERBLOCK -> wrongSuperblock();
            case STALE_SUPERBLOCK -> staleSuperblock();
            case STALE_SUPERBLOCK_AND_A_BROKEN_BLOCK -> staleSuperblock() && breakBlocks(1);
            case WRITTEN_OVER_SUPERBLOCK -> writeOver();
            case LOST_SUPERBLOCK -> loseSuperblock();
            case LOST_SUPERBLOCK_AND_A_BROKEN_BLOCK -> loseSuperblock() && breakBlocks(1);
            case LOST_SUPERBLOCK_AND_CUT_OFF -> loseSuperblock() && cutOff();
        };
    }

    private byte[] block(int b) {
        byte[] now = changed.get(b);
        return now != null ? now : Arrays.copyOfRange(subject.image(), b * BLOCK, (b + 1) * BLOCK);
    }

    private void put(int b, byte[] bytes, String what) {
        changed.put(b, bytes);
        done.append(what).append(' ').append(b).append(' ');
    }

    /** One that is in use, or now and then one that was. */
    private int any() {
        List<Integer> from = random.nextInt(5) == 0 ? sealed : used;
        return from.get(random.nextInt(from.size()));
    }

    private boolean breakBlocks(int count) {
        for (int i = 0; i < count; i++) {
            int b = any();
            byte[] bytes = block(b);
            switch (random.nextInt(4)) {
                case 0 -> Arrays.fill(bytes, (byte) 0);
                case 1 -> random.nextBytes(bytes);
                default -> {
                    bytes[200] ^= 0x55;
                    bytes[2000] ^= 0x11;
                }
            }
            put(b, bytes, "broken");
        }
        return true;
    }

    private boolean breakTree() {
        int b = trees.get(random.nextInt(trees.size()));
        byte[] bytes = block(b);
        bytes[200] ^= 0x55;
        bytes[2000] ^= 0x11;
        put(b, bytes, "broken");
        return true;
    }

    private boolean rotate(int count) {
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < 100 && places.size() < count; i++) {
            int b = any();
            if (!places.contains(b)) {
                places.add(b);
            }
        }
        List<byte[]> contents = places.stream().map(this::block).toList();
        for (int i = 0; i < places.size(); i++) {
            put(places.get(i), contents.get((i + 1) % count), "moved to");
        }
        return places.size() == count;
    }

    private boolean stale(List<Integer> among) {
        List<Integer> candidates =
                among.stream().filter(subject.older()::containsKey).toList();
        if (candidates.isEmpty()) {
            return false;
        }
        int b = candidates.get(random.nextInt(candidates.size()));
        put(b, oneOf(subject.older().get(b)), "stale");
        return true;
    }

    private boolean misdirect() {
        int b = used.get(random.nextInt(used.size()));
        byte[] bytes = block(b);
        int to = used.get(random.nextInt(used.size()));
        if (to == b || !stale(List.of(b))) {
            return false;
        }
        put(to, bytes, "misdirected to");
        return true;
    }

    private boolean breakRegion() {
        int from = any();
        int end = Math.min(sizeBlocks, from + 2 + random.nextInt(31));
        boolean isNoise = random.nextBoolean();
        for (int b = from; b < end; b++) {
            byte[] bytes = new byte[BLOCK];
            if (isNoise) {
                random.nextBytes(bytes);
            }
            put(b, bytes, "broken");
        }
        return true;
    }

    private boolean cutOff() {
        sizeBlocks = 1 + random.nextInt(sizeBlocks - 1);
        done.append("cut off at ").append(sizeBlocks);
        return true;
    }

    private boolean wrongArrayBlock() {
        List<Integer> arrays = ofType(trees, BlockType.ARRAY_BLOCK);
        if (arrays.isEmpty()) {
            return false;
        }
        int b = arrays.get(random.nextInt(arrays.size()));
        byte[] bytes = block(b);
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int what = random.nextInt(5);
        switch (what) {
            case 0 -> buffer.putInt(4, random.nextBoolean() ? random.nextInt(2000) : random.nextInt());
            case 1 -> buffer.putInt(8, random.nextBoolean() ? random.nextInt(2000) : random.nextInt());
            case 2 -> buffer.putInt(12, 1 << random.nextInt(6));
            case 3 -> {
                int at = 24 + 4 * random.nextInt(1018);
                buffer.putInt(at, buffer.getInt(at) | random.nextInt());
            }
            default -> Arrays.fill(bytes, 24 + 8 * random.nextInt(509), BLOCK, (byte) 0xff);
        }
        return resealIfOther(BlockType.ARRAY_BLOCK, b, bytes, "wrong array block " + what + " at");
    }

    private boolean wrongSpaceMap() {
        List<Integer> maps = new ArrayList<>(ofType(used, BlockType.BITMAP));
        maps.addAll(ofType(used, BlockType.INDEX));
        if (maps.isEmpty()) {
            return false;
        }
        int b = maps.get(random.nextInt(maps.size()));
        byte[] bytes = block(b);
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        BlockType type = seal.identify(buffer, 0);
        if (type == BlockType.INDEX) {
            int at = 16 + 4 * random.nextInt(4);
            buffer.putInt(at, random.nextBoolean() ? any() : random.nextInt());
        } else {
            int count = 1 + random.nextInt(4);
            for (int i = 0; i < count; i++) {
                int at = 16 + random.nextInt(1 + sizeBlocks / 4);
                bytes[at] = (byte) (random.nextBoolean() ? 0 : bytes[at] ^ (1 << random.nextInt(8)));
            }
        }
        return resealIfOther(type, b, bytes, "wrong space map at");
    }

    private boolean wrongSuperblock() {
        byte[] bytes = block(0);
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        // Block numbers and counts: the origin's block size could be any, and nothing would tell.
        int[] words = {44, 52, 60, 68, 192, 200, 208, 216};
        int[] ints = {4, 180, 184, 188};
        int what = random.nextInt(words.length + ints.length);
        if (what < words.length) {
            buffer.putLong(words[what], random.nextInt(3) > 0 ? any() : random.nextInt(4) == 0 ? 0 : random.nextLong());
        } else {
            int at = ints[what - words.length];
            int now = buffer.getInt(at);
            buffer.putInt(at, random.nextBoolean() ? now + random.nextInt(9) - 4 : random.nextInt());
        }
        return resealIfOther(BlockType.SUPERBLOCK, 0, bytes, "wrong superblock field " + what + " at");
    }

    private boolean resealIfOther(BlockType type, int b, byte[] bytes, String what) {
        if (Arrays.equals(bytes, block(b))) {
            return false;
        }
        seal.seal(type, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), 0, b);
        put(b, bytes, what);
        return true;
    }

    /** Mostly the latest. */
    private byte[] oneOf(List<byte[]> older) {
        int back = random.nextInt(3) == 0 ? random.nextInt(older.size()) : 0;
        return older.get(older.size() - 1 - back).clone();
    }

    private boolean staleSuperblock() {
        List<byte[]> older = subject.older().getOrDefault(0, List.of());
        if (older.isEmpty()) {
            return false;
        }
        put(0, older.get(random.nextInt(older.size())).clone(), "stale");
        return true;
    }

    private boolean loseSuperblock() {
        byte[] bytes = new byte[BLOCK];
        if (random.nextBoolean()) {
            random.nextBytes(bytes);
        }
        put(0, bytes, "lost");
        return true;
    }

    private boolean writeOver() {
        byte[] bytes = block(0);
        byte[] text = new byte[1 + random.nextInt(1024)];
        random.nextBytes(text);
        int at = 224 + random.nextInt(BLOCK - 224 - text.length);
        System.arraycopy(text, 0, bytes, at, text.length);
        put(0, bytes, "written over");
        return true;
    }

    private List<Integer> nodes(List<Integer> among) {
        return ofType(among, BlockType.BTREE_NODE);
    }

    private List<Integer> ofType(List<Integer> among, BlockType type) {
        ByteBuffer image = ByteBuffer.wrap(subject.image()).order(ByteOrder.LITTLE_ENDIAN);
        return among.stream()
                .filter(b -> seal.identify(image, b * BLOCK) == type)
                .toList();
    }

    private static BTreeNode node(byte[] bytes) {
        return new BTreeNode().wrap(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), 0);
    }

    private void reseal(int b, byte[] bytes, String what) {
        seal.seal(BlockType.BTREE_NODE, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), 0, b);
        put(b, bytes, what);
    }

    /** Nodes of now and before, other than {@code b} as it is, that could stand in its place. */
    private List<byte[]> versions(int b) {
        BTreeNode now = node(block(b));
        List<byte[]> versions = new ArrayList<>();
        if (now.nrEntries() == 0) {
            return versions;
        }
        for (int other : sealed) {
            List<byte[]> contents = new ArrayList<>(subject.older().getOrDefault(other, List.of()));
            contents.add(block(other));
            for (byte[] content : contents) {
                BTreeNode then = node(content);
                if (seal.identify(then.buffer(), 0) == BlockType.BTREE_NODE
                        && then.flags() == now.flags()
                        && then.valueSize() == now.valueSize()
                        && then.nrEntries() > 0
                        && then.key(0) == now.key(0)
                        && !Arrays.equals(content, 16, BLOCK, block(b), 16, BLOCK)) {
                    versions.add(content.clone());
                }
            }
        }
        return versions;
    }

    private boolean staleNode() {
        List<Integer> nodes = nodes(used);
        int b = nodes.get(random.nextInt(nodes.size()));
        List<byte[]> versions = versions(b);
        if (versions.isEmpty()) {
            return false;
        }
        reseal(b, versions.get(random.nextInt(versions.size())), "stale node");
        return true;
    }

    private boolean stalePointer() {
        List<Integer> nodes = nodes(used);
        int b = nodes.get(random.nextInt(nodes.size()));
        List<byte[]> versions = versions(b);
        if (versions.isEmpty()) {
            return false;
        }
        BTreeNode then = node(versions.get(random.nextInt(versions.size())));
        byte[] bytes = block(b);
        BTreeNode now = node(bytes);
        for (int i = 0; i < Math.min(now.nrEntries(), then.nrEntries()); i++) {
            int at = now.valueOffset(i);
            int from = then.valueOffset(i);
            boolean differs = false;
            for (int j = 0; j < now.valueSize(); j++) {
                differs |= now.buffer().get(at + j) != then.buffer().get(from + j);
            }
            if (now.key(i) == then.key(i) && differs && (changed.isEmpty() || random.nextBoolean())) {
                now.buffer().put(at, then.buffer(), from, now.valueSize());
                reseal(b, bytes, "stale pointer " + i + " of");
                return true;
            }
        }
        return false;
    }

    private boolean wrongNode() {
        List<Integer> nodes = nodes(used);
        int b = nodes.get(random.nextInt(nodes.size()));
        byte[] bytes = block(b);
        BTreeNode node = node(bytes);
        int n = node.nrEntries();
        int what = random.nextInt(7);
        if (n == 0 && what < 4) {
            return false;
        }
        switch (what) {
            case 0 -> {
                int i = random.nextInt(n);
                int j = random.nextInt(n);
                long key = node.key(i);
                node.key(i, node.key(j));
                node.key(j, key);
            }
            case 1 -> node.key(n - 1, node.key(n - 1) + 1000 + random.nextInt(1000));
            case 2 -> node.nrEntries(n - 1);
            case 3 -> {
                int i = random.nextInt(n);
                ByteBuffer buffer = node.buffer();
                buffer.putLong(
                        node.valueOffset(i) + node.valueSize() - Long.BYTES,
                        random.nextBoolean() ? any() : random.nextLong());
            }
            case 4 -> node.buffer().putInt(20, random.nextBoolean() ? random.nextInt(4000) : random.nextInt());
            case 5 -> node.buffer().putInt(24, random.nextInt(64));
            default -> node.buffer().putInt(4, random.nextInt(4));
        }
        if (Arrays.equals(bytes, block(b))) {
            return false;
        }
        reseal(b, bytes, "wrong node " + what + " at");
        return true;
    }
}
