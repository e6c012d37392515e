// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.format.Superblock;
import org.dmera.core.scan.MetadataRoots;
import org.dmera.core.scan.MetadataScanner;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;

/**
 * What becomes of the kernel's metadata when the superblock is lost, and any one other block too; and what a hint can't do
 * when it is not.
 */
class LostSuperblockTest {
    private static final long MOST_ORIGIN_BLOCKS = 20_000;
    /** Other blocks that are destroyed in each image, one at a time; all of them at night. */
    private static final int SAMPLE = Boolean.getBoolean("era.nightly") ? Integer.MAX_VALUE : 2;

    @Test
    void noMarkIsLostWhenAnotherBlockIsDestroyedTooOrSalvagingAsksForWhatIsMissing() throws IOException {
        Random random = new Random(8);
        List<String> wrong = new ArrayList<>();
        int salvaged = 0;
        for (JsonNode image : Fixtures.images()) {
            long nrBlocks = image.get("superblock").get("nr_blocks").asLong();
            if (nrBlocks == 0 || nrBlocks > MOST_ORIGIN_BLOCKS) {
                continue;
            }
            byte[] sound = Fixtures.imageBytes(image);
            EraTruth truth = truth(sound);
            for (int other : others(sound, random)) {
                byte[] damaged = sound.clone();
                Arrays.fill(damaged, 0, 4096, (byte) 0);
                damaged[other * 4096 + 200] ^= 0x55;
                damaged[other * 4096 + 2000] ^= 0x11;
                String where = image.get("name").asText() + " without block " + other + ": ";
                long size = truth.dataBlockSizeSectors();
                boolean refused = false;
                for (SalvageHints hints : new SalvageHints[] {
                    new SalvageHints(size, -1, -1), new SalvageHints(size, -1, truth.currentEra())
                }) {
                    try {
                        judge(truth, damaged, hints, where, wrong);
                        salvaged++;
                    } catch (IOException e) {
                        refused = true;
                        assertTrue(e.getMessage().contains("with --"), () -> where + e.getMessage());
                    }
                }
                if (refused) {
                    judge(
                            truth,
                            damaged,
                            new SalvageHints(size, truth.latest().length, truth.currentEra()),
                            where,
                            wrong);
                }
            }
        }
        assertEquals("", String.join("\n", wrong));
        assertTrue(salvaged > 0);
    }

    @Test
    void anEraThatOnlyALostWritesetTreeToldIsAskedFor() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("r_fuzz03.live3"));
        Arrays.fill(image, 0, 4096, (byte) 0);
        Arrays.fill(image, 30 * 4096, 31 * 4096, (byte) 0);
        String refusal = refusal(image, new SalvageHints(8, -1, -1));
        assertTrue(refusal.contains("--current-era; it is at least 8; when in doubt, a higher one"), refusal);
    }

    @Test
    void whatFollowsALostPartOfTheEraArrayIsKept() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("b_span_bs8.clean"));
        EraTruth truth = truth(image);
        Arrays.fill(image, 0, 4096, (byte) 0);
        Arrays.fill(image, 13 * 4096, 14 * 4096, (byte) 0);
        List<String> wrong = new ArrayList<>();
        judge(truth, image, new SalvageHints(8, -1, truth.currentEra()), "", wrong);
        assertEquals(List.of(), wrong);
    }

    @Test
    void noHintLowersWhatASoundSuperblockSays() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("e_crash_bs8.crash"));
        EraTruth truth = truth(image);
        long era = truth.currentEra();
        long nrBlocks = truth.latest().length;
        String refusal = refusal(image, new SalvageHints(-1, -1, era - 1));
        assertTrue(refusal.contains("above --current-era " + (era - 1)), refusal);
        refusal = refusal(image, new SalvageHints(-1, nrBlocks - 1, -1));
        assertTrue(refusal.contains("above --nr-blocks " + (nrBlocks - 1)), refusal);
        List<String> wrong = new ArrayList<>();
        judge(truth, image, new SalvageHints(-1, nrBlocks + 1, era + 1), "higher", wrong);

        // A size that may be, but that the era array is far from: the user knows better.
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(Superblock.NR_BLOCKS, 1 << 30);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        judge(truth, image, new SalvageHints(-1, nrBlocks, -1), "wrong size", wrong);
        assertEquals(List.of(), wrong);
    }

    private static String refusal(byte[] image, SalvageHints hints) {
        return assertThrows(IOException.class, () -> Salvage.open(new MemoryBlockDevice(image), hints))
                .getMessage();
    }

    private static EraTruth truth(byte[] sound) throws IOException {
        EraTruth truth = new EraTruth();
        MemoryBlockDevice device = new MemoryBlockDevice(sound);
        MetadataScanner.scan(device, MetadataRoots.read(device), truth);
        return truth;
    }

    /** Blocks that are not zero, other than the superblock: a sample of them in any order. */
    private static List<Integer> others(byte[] image, Random random) {
        List<Integer> blocks = new ArrayList<>();
        for (int b = 1; b < image.length / 4096; b++) {
            boolean isZero = true;
            for (int i = 0; isZero && i < 64; i++) {
                isZero = image[b * 4096 + i] == 0;
            }
            if (!isZero) {
                blocks.add(b);
            }
        }
        Collections.shuffle(blocks, random);
        return blocks.subList(0, Math.min(SAMPLE, blocks.size()));
    }

    private static void judge(EraTruth truth, byte[] damaged, SalvageHints hints, String where, List<String> wrong)
            throws IOException {
        EraTruth now = new EraTruth();
        Salvage.open(new MemoryBlockDevice(damaged), hints).stream(now);
        if (truth.lostIn(now) > 0) {
            wrong.add(where + truth.lostIn(now) + " marks are lost, with " + hints);
        }
        if (now.latest().length < truth.latest().length) {
            wrong.add(where + now.latest().length + " origin blocks of " + truth.latest().length);
        }
        if (now.currentEra() < truth.currentEra()) {
            wrong.add(where + "era " + now.currentEra() + ", was " + truth.currentEra());
        }
    }
}
