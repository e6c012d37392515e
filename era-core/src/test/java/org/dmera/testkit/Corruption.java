// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;

/** Corrupts metadata at random: flipped bits, zeroed and swapped blocks, and nonsense under a valid seal. */
public final class Corruption {
    private static final int BLOCK = 4096;
    private static final long[] ABSURD = {0, 1, 2, 255, 4095, 4096, 1L << 31, (1L << 32) - 1, 1L << 40, 1L << 63, -1};

    private final Random random;
    private final BlockSeal seal = new BlockSeal();

    public Corruption(Random random) {
        this.random = random;
    }

    /**
     * Changes one to three things in {@code image}, all among its first {@code blocks} blocks. Half of the changes are
     * resealed, for otherwise the checksum would keep everything from the code behind it.
     */
    public void corrupt(byte[] image, int blocks) {
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        int changes = 1 + random.nextInt(3);
        for (int i = 0; i < changes; i++) {
            // Block 0 is where everything starts: one in eight.
            int blockNr = random.nextInt(8) == 0 ? 0 : random.nextInt(blocks);
            int at = blockNr * BLOCK;
            BlockType type = seal.identify(bytes, at);
            change(image, bytes, at, blocks);
            if (random.nextInt(4) > 0) {
                BlockType as = type != null && random.nextInt(8) > 0 ? type : BlockType.values()[random.nextInt(5)];
                seal.seal(as, bytes, at, blockNr);
            }
        }
    }

    private void change(byte[] image, ByteBuffer bytes, int at, int blocks) {
        switch (random.nextInt(8)) {
            case 0 -> Arrays.fill(image, at, at + BLOCK, (byte) 0);
            case 1 -> {
                byte[] noise = new byte[BLOCK];
                random.nextBytes(noise);
                System.arraycopy(noise, 0, image, at, BLOCK);
            }
            case 2 -> {
                int other = random.nextInt(blocks) * BLOCK;
                byte[] kept = Arrays.copyOfRange(image, at, at + BLOCK);
                System.arraycopy(image, other, image, at, BLOCK);
                System.arraycopy(kept, 0, image, other, BLOCK);
            }
            case 3 -> image[at + random.nextInt(BLOCK)] ^= (byte) (1 << random.nextInt(8));
            // Headers decide how the rest is read.
            case 4 -> bytes.putInt(at + 4 + 4 * random.nextInt(7), (int) absurd(blocks));
            case 5 -> bytes.putLong(at + 8 * random.nextInt(64), absurd(blocks));
            case 6 -> bytes.putLong(at + 32 + 8 * 252 + 8 * random.nextInt(8), absurd(blocks));
            default -> bytes.putInt(at + 4 * random.nextInt(BLOCK / 4), (int) absurd(blocks));
        }
    }

    private long absurd(int blocks) {
        return random.nextBoolean() ? random.nextInt(blocks) : ABSURD[random.nextInt(ABSURD.length)];
    }
}
