// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.content.MetadataScanner;
import org.dmera.core.format.Superblock;
import org.dmera.core.metadata.EraMetadata;
import org.dmera.core.read.BlockVerdict;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.EraTruth;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What becomes of the kernel's metadata when the superblock is lost, and any one other block too; and what a hint can't do
 * when it is not.
 */
class LostSuperblockTest {
    private static final long MAX_ORIGIN_BLOCKS = 20_000;
    /** Other blocks that are destroyed in each image, one at a time; all of them at night. */
    private static final int SAMPLE = Boolean.getBoolean("era.nightly") ? Integer.MAX_VALUE : 2;

    @Test
    void noMarkIsLostWhenAnotherBlockIsDestroyedTooOrSalvagingAsksForWhatIsMissing() throws IOException {
        Random random = new Random(8);
        List<String> wrong = new ArrayList<>();
        int salvaged = 0;
        for (JsonNode image : Fixtures.images()) {
            long nrBlocks = image.get("superblock").get("nr_blocks").asLong();
            if (nrBlocks == 0 || nrBlocks > MAX_ORIGIN_BLOCKS) {
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
    void aBitsetOfAnOlderStateThatWasHandedOutAgainIsOfTheCurrentEra() throws IOException {
        byte[] image = damaged("bitset-of-era-17-is-open-in-era-25");
        EraTruth truth = truth(image);
        Arrays.fill(image, 0, 4096, (byte) 0);
        assertEquals(25, truth.latest()[530]);
        List<String> wrong = new ArrayList<>();
        judge(truth, image, new SalvageHints(8, 3954, 25), "", wrong);
        assertEquals(List.of(), wrong);
    }

    @Test
    void theCurrentEraIsAskedForHoweverManyErasCanBeSeen() throws IOException {
        byte[] image = damaged("idle-eras-before-era-33");
        EraTruth truth = truth(image);
        Arrays.fill(image, 0, 4096, (byte) 0);
        String refusal = refusal(image, new SalvageHints(8, truth.latest().length, -1));
        assertTrue(refusal.contains("--current-era; it is at least"), refusal);
        assertTrue(refusal.contains("when in doubt, a higher one loses nothing"), refusal);
        List<String> wrong = new ArrayList<>();
        judge(truth, image, new SalvageHints(8, truth.latest().length, 33), "", wrong);
        assertEquals(List.of(), wrong);
    }

    @Test
    void anOriginOfNoBlocksIsNeverTheAnswer() throws IOException {
        byte[] image = damaged("only-the-formatted-state-left");
        Arrays.fill(image, 0, 4096, (byte) 0);
        // The root of its era array is lost too; the array blocks and the open writeset tell how many there are.
        assertEquals(
                8192,
                Salvage.open(new MemoryBlockDevice(image), new SalvageHints(8, -1, 7))
                        .nrBlocks());

        byte[] formatted = Fixtures.imageBytes(Fixtures.image("a_fresh_bs8.formatted"));
        Arrays.fill(formatted, 0, 4096, (byte) 0);
        String refusal = refusal(formatted, new SalvageHints(8, -1, 0));
        assertTrue(refusal.contains("--nr-blocks"), refusal);
    }

    @Test
    void everyStateOfTheKernelComesBackWithTheThreeHints() throws IOException {
        List<String> wrong = new ArrayList<>();
        List<Double> widened = new ArrayList<>();
        for (JsonNode image : Fixtures.images()) {
            long nrBlocks = image.get("superblock").get("nr_blocks").asLong();
            if (nrBlocks == 0 || nrBlocks > MAX_ORIGIN_BLOCKS) {
                continue;
            }
            byte[] lost = Fixtures.imageBytes(image);
            EraTruth truth = truth(lost);
            Arrays.fill(lost, 0, 4096, (byte) 0);
            SalvageHints hints =
                    new SalvageHints(truth.dataBlockSizeSectors(), truth.latest().length, truth.currentEra());
            EraTruth now = judge(truth, lost, hints, image.get("name").asText() + ": ", wrong);
            widened.add(truth.widenedIn(now) / (double) nrBlocks);
        }
        assertEquals(List.of(), wrong);
        widened.sort(null);
        assertTrue(widened.get(widened.size() / 2) < 0.02, widened::toString);
        assertTrue(widened.get(widened.size() * 9 / 10) < 0.2, widened::toString);
    }

    @Test
    void aHintThatAHeldSnapshotContradictsIsRefused() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("c_snap_bs24.live"));
        EraTruth truth = truth(image);
        Arrays.fill(image, 0, 4096, (byte) 0);
        int nrBlocks = truth.latest().length;
        String refusal = refusal(image, new SalvageHints(48, nrBlocks, truth.currentEra()));
        assertTrue(refusal.contains("origin blocks of 24 sectors, not of --block-size 48"), refusal);
        refusal = refusal(image, new SalvageHints(24, nrBlocks, 0));
        assertTrue(refusal.contains("above --current-era 0"), refusal);
        List<String> wrong = new ArrayList<>();
        judge(truth, image, new SalvageHints(-1, nrBlocks, truth.currentEra()), "", wrong);
        assertEquals(List.of(), wrong);
    }

    @Test
    void theReportHasOneLineForEachThing() throws IOException {
        byte[] image = Fixtures.imageBytes(Fixtures.image("b_span_bs8.clean"));
        EraTruth truth = truth(image);
        Arrays.fill(image, 0, 4096, (byte) 0);
        Arrays.fill(image, 13 * 4096, 15 * 4096, (byte) 0);
        Salvage salvage = Salvage.open(
                new MemoryBlockDevice(image), new SalvageHints(8, truth.latest().length, truth.currentEra()));
        salvage.stream(new EraTruth());
        List<String> lines = new ArrayList<>(salvage.remarks());
        salvage.damages().forEach(damage -> lines.add(damage.toString()));
        assertTrue(lines.size() < 30, () -> String.join("\n", lines));
        assertEquals(lines.size(), lines.stream().distinct().count(), () -> String.join("\n", lines));
        assertTrue(lines.stream().noneMatch(line -> line.contains(" -1")), () -> String.join("\n", lines));
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
        refusal = refusal(image, new SalvageHints(16, -1, -1));
        assertTrue(refusal.contains("origin blocks of 8 sectors, not of --block-size 16"), refusal);

        // A size that may be, but that the era array is far from: the user knows better.
        ByteBuffer bytes = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(Superblock.NR_BLOCKS, 1 << 30);
        new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
        judge(truth, image, new SalvageHints(-1, nrBlocks, -1), "wrong size", wrong);
        assertEquals(List.of(), wrong);
    }

    /** Each commit leaves a state, and nearly all of it is that of the one before. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatStatesShareIsReadOnceForAllOfThem(boolean isSuperblockLost) throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice(2048);
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(20_000);
        metadata.rollover();
        for (int i = 0; i < 100; i++) {
            metadata.mark(200 * i);
            metadata.commit();
        }
        EraTruth truth = truth(device.bytes().clone());
        int[] reads = new int[2048];
        Counting counting = new Counting(device, reads);
        ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        if (isSuperblockLost) {
            Arrays.fill(device.bytes(), 0, 4096, (byte) 0);
            EraTruth now = new EraTruth();
            Salvage.open(counting, new SalvageHints(8, 20_000, truth.currentEra())).stream(now);
            assertEquals(0, truth.lostIn(now));
        } else {
            bytes.putLong(Superblock.SM_NR_ALLOCATED, 1);
            new BlockSeal().seal(BlockType.SUPERBLOCK, bytes, 0, 0);
            assertFalse(StaleSuperblock.isOlderThanAnother(counting));
        }
        int found = 0;
        for (int b = 1; b < reads.length; b++) {
            if (BlockVerdict.code(new BlockVerdict(-1).classify(bytes, b * 4096, b)) == BlockVerdict.ERAS) {
                found++;
                assertTrue(reads[b] < 10, "block " + b + " was read " + reads[b] + " times");
            }
        }
        assertTrue(found >= 20, "only " + found + " array blocks");
    }

    /** Counts the reads of single blocks. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Counting(MemoryBlockDevice device, int[] reads) implements BlockDevice {
        @Override
        public long sizeBlocks() {
            return device.sizeBlocks();
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            reads[(int) firstBlock] += dst.remaining() == BLOCK_BYTES ? 1 : 0;
            device.read(firstBlock, dst);
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            device.write(firstBlock, src);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }

    private static byte[] damaged(String name) {
        return Fixtures.unxz(Fixtures.folder().resolve("repair").resolve(name + ".img.xz"));
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

    private static EraTruth judge(EraTruth truth, byte[] damaged, SalvageHints hints, String where, List<String> wrong)
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
        return now;
    }
}
