// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.tools;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.Superblock;
import org.dmera.testkit.Alone;
import org.dmera.tests.Distribution;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Images that claim or hold as much as they can of one thing, in a heap of half their size: the checker and the repair come
 * to their end, with a result or a line that says what is missing, and never by an OutOfMemoryError.
 */
@Timeout(600)
@Alone
class HostileMemoryTest {
    private static final int BLOCK = 4096;
    /** 128 MiB: twice the heap. */
    private static final int BLOCKS = 32_768;

    private static final String HEAP = "-Xmx64m";
    private static final int ORIGIN_BLOCKS = 1_000_000;

    @TempDir
    private Path folder;

    private byte[] sound;

    @BeforeEach
    void make() throws Exception {
        assumeTrue(Boolean.getBoolean("era.nightly"), "takes minutes: -Dera.nightly=true");
        Ran.needLaunchers();
        Path metadata = folder.resolve("sound");
        Ran.tool("era-tools", "generate", "--nr-blocks", ORIGIN_BLOCKS, "--writesets", 20, "-q", "-o", metadata)
                .good();
        sound = Files.readAllBytes(metadata);
        Files.delete(metadata);
    }

    /** Changes an image of {@link #BLOCKS} blocks that begins with sound metadata; its rest is zeroes. */
    private interface Shape {
        void make(ByteBuffer image) throws IOException;
    }

    private static int superblock(ByteBuffer image, Consumer<Superblock> change) {
        change.accept(new Superblock().wrap(image, 0));
        return seal(image, BlockType.SUPERBLOCK, 0);
    }

    private static int seal(ByteBuffer image, BlockType type, int block) {
        new BlockSeal().seal(type, image, block * BLOCK, block);
        return block;
    }

    private int filled() {
        return sound.length / BLOCK;
    }

    /** A copy of this block in every one behind the sound ones, each sealed under its own number. */
    private Shape copies(BlockType type, int of) {
        return image -> {
            for (int block = filled(); block < BLOCKS; block++) {
                image.put(block * BLOCK, image, of * BLOCK, BLOCK);
                seal(image, type, block);
            }
        };
    }

    private static Shape both(Shape first, Shape second) {
        return image -> {
            first.make(image);
            second.make(image);
        };
    }

    private static int first(byte[] sound, BlockType type) {
        ByteBuffer image = ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN);
        for (int block = 1; block < sound.length / BLOCK; block++) {
            if (new BlockSeal().identify(image, block * BLOCK) == type) {
                return block;
            }
        }
        throw new AssertionError(type + " is nowhere");
    }

    private Map<String, Shape> shapes() {
        Map<String, Shape> shapes = new LinkedHashMap<>();
        Shape nothing = image -> {};
        Shape noSuperblock = image -> image.put(0, new byte[BLOCK]);
        shapes.put("sound", nothing);
        shapes.put("an origin of 2^31 blocks", image -> superblock(image, s -> s.nrBlocks(0x7FFFFFFFL)));
        shapes.put("an origin of 2^32 - 1 blocks", image -> superblock(image, s -> s.nrBlocks(0xFFFFFFFFL)));
        shapes.put("an era of 2^32 - 1", image -> superblock(image, s -> s.currentEra(0xFFFFFFFF)));
        shapes.put("superblocks everywhere", copies(BlockType.SUPERBLOCK, 0));
        int array = first(sound, BlockType.ARRAY_BLOCK);
        int node = first(sound, BlockType.BTREE_NODE);
        shapes.put("array blocks everywhere", copies(BlockType.ARRAY_BLOCK, array));
        shapes.put("nodes everywhere", copies(BlockType.BTREE_NODE, node));
        shapes.put("bitmaps everywhere", copies(BlockType.BITMAP, first(sound, BlockType.BITMAP)));
        shapes.put("array blocks everywhere, no superblock", both(copies(BlockType.ARRAY_BLOCK, array), noSuperblock));
        shapes.put("nodes everywhere, no superblock", both(copies(BlockType.BTREE_NODE, node), noSuperblock));
        shapes.put("a chain of nodes, no superblock", both(this::chain, noSuperblock));
        shapes.put("full nodes that point everywhere, no superblock", both(this::fan, noSuperblock));
        return shapes;
    }

    private void chain(ByteBuffer image) {
        for (int block = filled(); block < BLOCKS; block++) {
            BTreeNode node = new BTreeNode().format(image, block * BLOCK, true, BTreeNode.BLOCK_VALUE_BYTES);
            node.nrEntries(1);
            node.key(0, block);
            node.valueLong(0, block + 1 < BLOCKS ? block + 1 : filled());
            seal(image, BlockType.BTREE_NODE, block);
        }
    }

    private void fan(ByteBuffer image) {
        for (int block = filled(); block < BLOCKS; block++) {
            BTreeNode node = new BTreeNode().format(image, block * BLOCK, true, BTreeNode.BLOCK_VALUE_BYTES);
            node.nrEntries(252);
            for (int i = 0; i < 252; i++) {
                node.key(i, (long) block << 8 | i);
                node.valueLong(i, filled() + (block * 31L + i * 7919L) % (BLOCKS - filled()));
            }
            seal(image, BlockType.BTREE_NODE, block);
        }
    }

    @TestFactory
    Stream<DynamicTest> noneTakesMoreMemoryThanThereIs() {
        return shapes().entrySet().stream()
                .map(shape -> DynamicTest.dynamicTest(shape.getKey(), () -> assertEnds(shape.getValue())));
    }

    private void assertEnds(Shape shape) throws Exception {
        ByteBuffer image = ByteBuffer.allocate(BLOCKS * BLOCK).order(ByteOrder.LITTLE_ENDIAN);
        image.put(0, sound);
        shape.make(image);
        Path file = Files.write(folder.resolve("image"), image.array());
        Path output = folder.resolve("output");
        try (RandomAccessFile f = new RandomAccessFile(output.toFile(), "rw")) {
            f.setLength(BLOCKS * (long) BLOCK);
        }
        assertEnds("era_check", file);
        assertEnds("era_repair", "-i", file, "-o", output);
        for (Object[] hints : new Object[][] {{ORIGIN_BLOCKS, 100}, {0x7FFFFFFF, 0xFFFFFFFFL}}) {
            List<Object> words = new ArrayList<>(List.of("-i", file, "-o", output, "--block-size", 8));
            words.addAll(List.of("--nr-blocks", hints[0], "--current-era", hints[1]));
            assertEnds("era_repair", words.toArray());
        }
    }

    private static void assertEnds(String tool, Object... words) throws Exception {
        List<String> command =
                new ArrayList<>(List.of(Distribution.BIN.resolve(tool).toString()));
        for (Object word : words) {
            command.add(word.toString());
        }
        Ran ran = Ran.of(command, Map.of("ERA_JAVA_OPTS", HEAP));
        String said = ran.out() + ran.err();
        assertFalse(
                said.contains("OutOfMemory") || said.contains("heap space") || said.contains("\tat "),
                () -> tool + said);
        assertTrue(ran.code() == 0 || ran.code() == 1 && !said.isEmpty(), ran::toString);
    }
}
