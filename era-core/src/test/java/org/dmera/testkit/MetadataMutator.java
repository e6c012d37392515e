// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.WritesetValue;

/**
 * Changes metadata a little at a time, with a knowledge of its fields, and mostly with the right seal on it: what breaks
 * no checksum gets deep into the code.
 */
public final class MetadataMutator {
    private static final int BLOCK = 4096;
    private static final long[] TELLING = {
        0,
        1,
        2,
        3,
        63,
        64,
        126,
        251,
        252,
        253,
        508,
        509,
        510,
        1018,
        1019,
        4095,
        16319,
        16320,
        1L << 31,
        (1L << 32) - 1,
        1L << 40,
        1L << 63,
        -1
    };

    private final Random random;
    private final Corruption corruption;
    private final BlockSeal seal = new BlockSeal();

    public MetadataMutator(Random random) {
        this.random = random;
        this.corruption = new Corruption(random);
    }

    /** Changes {@code image} in one to four places among its first {@code blocks} blocks; {@code other} lends blocks. */
    public void mutate(byte[] image, byte[] other, int blocks) {
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
            int blockNr = random.nextInt(6) == 0 ? 0 : random.nextInt(blocks);
            BlockType type = seal.identify(bytes, blockNr * BLOCK);
            switch (random.nextInt(8)) {
                case 0 -> corruption.corrupt(image, blocks);
                case 1 -> System.arraycopy(other, blockNr * BLOCK, image, blockNr * BLOCK, BLOCK);
                case 2 -> {
                    // A block in another's place, as a stale or misdirected write leaves it; as if it belonged, often.
                    int from = random.nextInt(blocks) * BLOCK;
                    System.arraycopy(random.nextBoolean() ? image : other, from, image, blockNr * BLOCK, BLOCK);
                    BlockType moved = seal.identify(bytes, blockNr * BLOCK);
                    if (moved != null && random.nextInt(3) > 0) {
                        seal.seal(moved, bytes, blockNr * BLOCK, blockNr);
                    }
                }
                default -> {
                    if (type == BlockType.BTREE_NODE) {
                        node(bytes, blockNr * BLOCK, blocks);
                    } else {
                        field(bytes, blockNr * BLOCK, blocks, type == BlockType.SUPERBLOCK ? 320 : BLOCK);
                    }
                    if (type != null && random.nextInt(16) > 0) {
                        seal.seal(type, bytes, blockNr * BLOCK, blockNr);
                    }
                }
            }
        }
    }

    /** One number somewhere in the first {@code extent} bytes: another, one more, one less, or a neighbour's. */
    private void field(ByteBuffer bytes, int at, int blocks, int extent) {
        int offset = at + 4 * random.nextInt((random.nextBoolean() ? Math.min(extent, 64) : extent) / 4 - 1);
        switch (random.nextInt(5)) {
            case 0 -> bytes.putInt(offset, bytes.getInt(offset) + 1);
            case 1 -> bytes.putInt(offset, bytes.getInt(offset) - 1);
            case 2 -> bytes.putInt(offset, (int) telling(blocks));
            case 3 -> bytes.putLong(offset, telling(blocks));
            default -> bytes.putLong(offset, bytes.getLong(at + 8 * random.nextInt(extent / 8)));
        }
    }

    private void node(ByteBuffer bytes, int at, int blocks) {
        BTreeNode node = new BTreeNode().wrap(bytes, at);
        boolean sane = node.hasSaneShape(BTreeNode.BLOCK_VALUE_BYTES)
                || node.hasSaneShape(WritesetValue.BYTES)
                || node.hasSaneShape(Integer.BYTES);
        int n = sane ? node.nrEntries() : 0;
        if (n == 0 || random.nextInt(4) == 0) {
            field(bytes, at, blocks, BLOCK);
            return;
        }
        int i = random.nextInt(n);
        int value = node.valueOffset(i) + Math.max(0, node.valueSize() - Long.BYTES);
        switch (random.nextInt(7)) {
            case 0 -> node.nrEntries(n - 1);
            case 1 -> node.nrEntries(Math.min(n + 1, node.maxEntries()));
            case 2 -> node.key(i, telling(blocks));
            case 3 -> node.key(i, node.key(random.nextInt(n)) + random.nextInt(3) - 1);
            case 4 -> bytes.putInt(value, random.nextInt(blocks));
            case 5 -> {
                byte[] copied = new byte[node.valueSize()];
                bytes.get(node.valueOffset(random.nextInt(n)), copied);
                bytes.put(node.valueOffset(i), copied);
            }
            default -> bytes.putLong(Math.min(value, at + BLOCK - Long.BYTES), telling(blocks));
        }
    }

    private long telling(int blocks) {
        return random.nextBoolean() ? random.nextInt(blocks) : TELLING[random.nextInt(TELLING.length)];
    }

    /** Whether the blocks {@code blockNr} of two images are the same. */
    public static boolean isSame(byte[] a, byte[] b, int blockNr) {
        int at = blockNr * BLOCK;
        return Arrays.equals(a, at, at + BLOCK, b, at, at + BLOCK);
    }
}
