// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Readers;
import org.junit.jupiter.api.Test;

/**
 * What the builder accepts, be it from a restore or a repair, the check finds clean, and all who tell when a block was
 * last written tell the same: the highest era that the metadata has for it.
 */
class AcceptedIsCleanTest {
    private static final int TRIALS = Boolean.getBoolean("era.nightly") ? 20_000 : 400;
    private static final long[] ERAS = {0, 1, 2, 9, 0x7FFFFFFFL, 0x80000000L, 0xFFFFFFFEL, 0xFFFFFFFFL};

    @Test
    void randomContentIsRefusedOrCleanAndReadAlikeByEverybody() throws IOException {
        Random random = new Random(16);
        int accepted = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            MemoryBlockDevice device = new MemoryBlockDevice(40 + random.nextInt(60));
            EraTruth truth = new EraTruth();
            try {
                build(new MetadataBuilder(device), truth, random);
            } catch (IOException e) {
                assertNotNull(e.getMessage(), "a refusal gives its reason");
                continue;
            }
            accepted++;
            Readers.assertCleanAndReadAlike(device, truth.latest(), "trial " + trial);
        }
        assertTrue(accepted > TRIALS / 3 && accepted < TRIALS, "accepted " + accepted);
    }

    /** Small metadata, sensible in most respects and in all of them often enough. */
    private static void build(MetadataBuilder builder, EraTruth truth, Random random) throws IOException {
        long current = random.nextInt(3) == 0 ? ERAS[random.nextInt(ERAS.length)] : 1 + random.nextInt(40);
        int nrBlocks = random.nextInt(4) == 0 ? random.nextInt(5000) : random.nextInt(130);
        builder.superblock(8 * random.nextInt(20), nrBlocks, current);
        truth.superblock(8, nrBlocks, current);
        long era = Math.max(0, current - random.nextInt(8));
        for (int n = random.nextInt(6); n > 0 && era <= current; n--, era += 1 + random.nextInt(3)) {
            int nrBits = random.nextInt(3) == 0 ? random.nextInt(6000) : nrBlocks;
            int words = (nrBits + 63) / 64;
            ByteBuffer bits = little(8 * words);
            for (int w = 0; w < words; w++) {
                bits.putLong(8 * w, random.nextBoolean() ? random.nextLong() : 1L << random.nextInt(64));
            }
            if (nrBits % 64 != 0) {
                int last = 8 * (words - 1);
                bits.putLong(last, bits.getLong(last) & (1L << nrBits) - 1);
            }
            builder.beginWriteset(era, nrBits);
            builder.words(0, bits, 0, words);
            builder.endWriteset();
            truth.beginWriteset(era, nrBits);
            truth.words(0, bits, 0, words);
        }
        ByteBuffer eras = little(4 * nrBlocks);
        for (int b = 0; b < nrBlocks; b++) {
            long above = random.nextInt(20_000) == 0 ? 1 : 0;
            eras.putInt(4 * b, (int) Math.max(0, current - random.nextInt(12) + above));
        }
        builder.beginEraArray();
        builder.eras(0, eras, 0, nrBlocks);
        builder.endEraArray();
        builder.end();
        truth.eras(0, eras, 0, nrBlocks);
    }

    private static ByteBuffer little(int bytes) {
        return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
