// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.content;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.BlockSeal;
import org.dmera.core.block.BlockType;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.DamagedMetadataException;
import org.dmera.core.read.MetadataRoots;
import org.dmera.testkit.Fixtures;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Against what the test that made the fixtures wrote while the real kernel was watching. */
class ChangedBlocksTest {
    static List<String> images() {
        return names(false);
    }

    static List<String> imagesWithSnapshot() {
        return names(true);
    }

    private static List<String> names(boolean withSnapshot) {
        List<String> names = new ArrayList<>();
        for (JsonNode image : Fixtures.images()) {
            if (!withSnapshot || image.hasNonNull("snapshot")) {
                names.add(image.get("name").asText());
            }
        }
        return names;
    }

    @ParameterizedTest
    @MethodSource("images")
    void everyEraGivesWhatWasWrittenSince(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        MemoryBlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(image));
        MetadataRoots roots = MetadataRoots.read(device);
        check(device, roots, image.get("written_by_era"));
    }

    @ParameterizedTest
    @MethodSource("imagesWithSnapshot")
    void everyEraGivesWhatWasWrittenSinceAsOfTheSnapshot(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        MemoryBlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(image));
        MetadataRoots roots = MetadataRoots.readSnapshot(device);
        check(device, roots, image.get("snapshot").get("written_by_era"));
    }

    private static void check(MemoryBlockDevice device, MetadataRoots roots, JsonNode writtenByEra) throws IOException {
        long last = roots.currentEra() + 1;
        long[] eraOf = lastEras(writtenByEra, (int) roots.nrBlocks());
        for (long since = 0; since <= last; since++) {
            assertEquals(expected(eraOf, since, Long.MAX_VALUE), bits(ChangedBlocks.since(device, roots, since)));
        }
        for (long since = 0; since <= last; since += 1 + last / 7) {
            for (long before = 0; before <= last; before += 1 + last / 5) {
                assertEquals(
                        expected(eraOf, since, before),
                        bits(ChangedBlocks.find(device, roots, since, before)),
                        since + " to " + before);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("images")
    void everyBlockIsToldOnceWithTheEraInWhichItWasLastWritten(String name) throws IOException {
        JsonNode image = Fixtures.image(name);
        MemoryBlockDevice device = new MemoryBlockDevice(Fixtures.imageBytes(image));
        MetadataRoots roots = MetadataRoots.read(device);
        long[] expected = lastEras(image.get("written_by_era"), (int) roots.nrBlocks());
        long[] told = new long[expected.length];
        Arrays.fill(told, -1);
        EraHistogram histogram = new EraHistogram(roots.currentEra());
        LastWritten.forEach(device, roots, (block, era) -> {
            assertEquals(-1, told[(int) block], "block " + block + " is told of twice");
            told[(int) block] = era;
            histogram.block(block, era);
        });
        assertArrayEquals(expected, told);
        for (long era = 0; era <= roots.currentEra(); era++) {
            long wanted = era;
            assertEquals(Arrays.stream(expected).filter(e -> e == wanted).count(), histogram.count(era, era));
        }
    }

    private static long[] lastEras(JsonNode writtenByEra, int nrBlocks) {
        long[] eraOf = new long[nrBlocks];
        writtenByEra.properties().forEach(entry -> {
            long era = Long.parseLong(entry.getKey());
            for (String range : entry.getValue().asText().split(",", -1)) {
                String[] ends = range.split("-", 2);
                for (int b = Integer.parseInt(ends[0]); b <= Integer.parseInt(ends[ends.length - 1]); b++) {
                    eraOf[b] = Math.max(eraOf[b], era);
                }
            }
        });
        return eraOf;
    }

    private static BitSet expected(long[] eraOf, long since, long before) {
        BitSet set = new BitSet();
        for (int b = 0; b < eraOf.length; b++) {
            set.set(b, eraOf[b] >= since && eraOf[b] < before);
        }
        return set;
    }

    private static BitSet bits(BlockSet changed) throws IOException {
        BitSet set = new BitSet();
        changed.forEachRange((begin, end) -> set.set((int) begin, (int) end));
        assertEquals(changed.count(), set.cardinality());
        return set;
    }

    @Test
    void severalThreadsFindTheSame() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice((int) MetadataBuilder.sufficientBlocks(10_000_001, 2));
        MetadataBuilder builder = new MetadataBuilder(device);
        builder.superblock(8, 10_000_001, 9);
        ByteBuffer values = ByteBuffer.allocate(8000).order(ByteOrder.LITTLE_ENDIAN);
        SplittableRandom random = new SplittableRandom(3);
        for (int era = 8; era <= 9; era++) {
            builder.beginWriteset(era, 9_000_000);
            for (int word = 0; word < 140_625; word += 1000) {
                int count = Math.min(1000, 140_625 - word);
                for (int i = 0; i < count; i++) {
                    long dense = random.nextLong();
                    values.putLong(8 * i, dense & random.nextLong());
                }
                builder.words(word, values, 0, count);
            }
            builder.endWriteset();
        }
        builder.beginEraArray();
        for (int block = 0; block < 10_000_001; block += 2000) {
            int count = Math.min(2000, 10_000_001 - block);
            for (int i = 0; i < count; i++) {
                values.putInt(4 * i, random.nextInt(8));
            }
            builder.eras(block, values, 0, count);
        }
        builder.endEraArray();
        builder.end();
        MetadataRoots roots = MetadataRoots.read(device);
        for (long[] range : new long[][] {{0, 1 << 20}, {3, 7}, {5, 9}, {8, 9}, {9, ChangedBlocks.NO_BOUND}}) {
            BlockSet one = ChangedBlocks.find(device, roots, range[0], range[1]);
            for (int threads = 2; threads <= 5; threads++) {
                BlockSet several = ChangedBlocks.find(
                        device, roots, range[0], range[1], threads, part -> new Thread(part).start());
                for (int word = 0; word < one.wordCount(); word++) {
                    assertEquals(one.word(word), several.word(word), threads + " threads, word " + word);
                }
            }
        }
        // The damage is in a part that another thread reads.
        device.bytes()[(int) roots.allocatedBlocks() * 2048]++;
        assertThrows(
                DamagedMetadataException.class,
                () -> ChangedBlocks.find(device, roots, 0, 5, 4, part -> new Thread(part).start()));
    }

    /** The kernel leaves no such metadata, but a repair that widens lost parts does; a peer overlooks block 5. */
    @Test
    void anEraArrayNewerThanAWaitingWritesetCounts() throws IOException {
        MemoryBlockDevice device = new MemoryBlockDevice((int) MetadataBuilder.sufficientBlocks(8, 1));
        MetadataBuilder builder = new MetadataBuilder(device);
        builder.superblock(128, 8, 19);
        ByteBuffer values = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
        builder.beginWriteset(3, 8);
        builder.words(0, values.putLong(0, 0b1110), 0, 1);
        builder.endWriteset();
        builder.beginEraArray();
        builder.eras(0, values.putLong(0, 0).putInt(4 * 5, 12), 0, 8);
        builder.endEraArray();
        builder.end();
        BlockSet changed = ChangedBlocks.since(device, MetadataRoots.read(device), 10);
        assertEquals(1, changed.count());
        assertEquals(1L << 5, changed.word(0));
    }

    /** A block of the era array that holds what it can't: to believe it would take blocks off a bounded list. */
    @Test
    void anEraThatCantHaveBeenDigestedIsRefused() throws IOException {
        for (int era : new int[] {19, 20, -1}) {
            MemoryBlockDevice device = new MemoryBlockDevice((int) MetadataBuilder.sufficientBlocks(8, 1));
            MetadataBuilder builder = new MetadataBuilder(device);
            builder.superblock(128, 8, 19);
            ByteBuffer values = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
            builder.beginEraArray();
            builder.eras(0, values, 0, 8);
            builder.endEraArray();
            builder.end();
            MetadataRoots roots = MetadataRoots.read(device);
            ByteBuffer bytes = ByteBuffer.wrap(device.bytes()).order(ByteOrder.LITTLE_ENDIAN);
            int root = (int) roots.eraArrayRoot() * BlockDevice.BLOCK_BYTES;
            long arrayBlock = new BTreeNode().wrap(bytes, root).valueLong(0);
            int offset = (int) arrayBlock * BlockDevice.BLOCK_BYTES;
            bytes.putInt(offset + ArrayBlock.VALUES + 4 * 5, era);
            new BlockSeal().seal(BlockType.ARRAY_BLOCK, bytes, offset, arrayBlock);
            if (era == 19) {
                // Without a current writeset the current era is over.
                assertEquals(1, ChangedBlocks.since(device, roots, 19).count());
                continue;
            }
            String expected = "era array: it has era " + Integer.toUnsignedLong(era)
                    + " for block 5, the last that can have" + " been digested is 19";
            for (Executable reader : List.<Executable>of(
                    () -> ChangedBlocks.since(device, roots, 3),
                    () -> ChangedBlocks.find(device, roots, 0, 7),
                    () -> LastWritten.forEach(device, roots, (block, last) -> {}),
                    () -> MetadataScanner.scan(device, roots, new MetadataBuilder(new MemoryBlockDevice(64))))) {
                DamagedMetadataException refused = assertThrows(DamagedMetadataException.class, reader);
                assertEquals(expected, refused.getMessage());
            }
        }
    }
}
