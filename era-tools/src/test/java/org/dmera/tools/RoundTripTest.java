// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.FileBlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.build.MetadataBuilder;
import org.dmera.core.format.IndexBlock;
import org.dmera.testkit.Health;
import org.dmera.tools.generate.MetadataGenerator;
import org.dmera.tools.xml.ContentGatherer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Dump, restore and dump again give the same bytes, whatever the sizes. */
class RoundTripTest {
    private static final boolean NIGHTLY = Boolean.getBoolean("era.nightly");

    /** Sizes about which something changes: words, array blocks, nodes. */
    private static final long[] EDGES = {
        0, 1, 63, 64, 65, 127, 128, 999, 1000, 1001, 1017, 1018, 1019, 32575, 32576, 32577, 65536, 256535, 256536,
        256537
    };

    @TempDir
    private Path folder;

    @Test
    void randomMetadataSurvives() throws IOException {
        for (int seed = 0; seed < (NIGHTLY ? 2000 : 40); seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            long nrBlocks = random.nextBoolean() ? EDGES[random.nextInt(EDGES.length)] : random.nextInt(200_000);
            int writesets = random.nextInt(4) == 0 ? random.nextInt(300) : random.nextInt(8);
            survives(random, nrBlocks, nrBlocks > 40_000 ? Math.min(writesets, 12) : writesets, "seed " + seed);
        }
    }

    @Test
    void severalMillionBlocksSurvive() throws IOException {
        survives(new SplittableRandom(7), NIGHTLY ? 40_000_000 : 3_000_001, 2, "millions");
    }

    private void survives(SplittableRandom random, long nrBlocks, int writesets, String what) throws IOException {
        Path device = folder.resolve("made");
        make(device, random, nrBlocks, writesets);
        Path xml = dump(device, "xml");
        for (String option : new String[] {"--format=xml", "--compact"}) {
            Path input = dump(device, "input", option);
            Path restored = folder.resolve("restored");
            resize(restored, Files.size(device));
            ToolRun.of("era_restore", "-i", input, "-o", restored).product();
            healthy(restored, what);
            assertEquals(-1, Files.mismatch(xml, dump(restored, "again")), what);
        }
    }

    /** Dumped to a file: a dump can be larger than the heap. */
    private Path dump(Path device, String name, Object... options) {
        Path file = folder.resolve(name);
        List<Object> args = new ArrayList<>(List.of(options));
        args.addAll(List.of("-o", file, device));
        ToolRun.of("era_dump", args.toArray()).product();
        return file;
    }

    /** Writesets whose sizes differ, as those of an origin that grew and shrank, with runs of all lengths. */
    private static void make(Path device, SplittableRandom random, long nrBlocks, int writesets) throws IOException {
        resize(device, BlockDevice.BLOCK_BYTES * (MetadataBuilder.sufficientBlocks(nrBlocks + 70_000, writesets) + 2));
        try (FileBlockDevice file = FileBlockDevice.open(device, true)) {
            ContentGatherer out = new ContentGatherer(new MetadataBuilder(file));
            long firstEra = random.nextInt(3) == 0 ? random.nextLong(4_000_000_000L) : random.nextInt(2);
            // Archived writesets are of the eras up to the current one.
            long currentEra = writesets == 0 ? firstEra : firstEra + writesets - 1;
            out.superblock(8 * (1 + random.nextInt(300)), nrBlocks, currentEra);
            for (int i = 0; i < writesets; i++) {
                out.beginWriteset(firstEra + i, writesetBits(random, nrBlocks));
                mark(out, random, out.nrBits());
                out.endWriteset();
            }
            out.beginEraArray();
            int era = 0;
            for (long b = 0; b < nrBlocks; b++) {
                if (random.nextInt(5) == 0) {
                    era = (int) random.nextLong(currentEra + 1);
                }
                out.nextEra(era);
            }
            out.endEraArray();
            out.end();
        }
        healthy(device, "made");
    }

    private static long writesetBits(SplittableRandom random, long nrBlocks) {
        return switch (random.nextInt(4)) {
            case 0 -> random.nextLong(nrBlocks + 1);
            case 1 -> nrBlocks + random.nextInt(70_000);
            default -> nrBlocks;
        };
    }

    private static void mark(ContentGatherer out, SplittableRandom random, long nrBits) throws IOException {
        int meanRun = 1 << random.nextInt(12);
        long at = 0;
        while (true) {
            long begin = at + random.nextInt(2 * meanRun);
            if (begin >= nrBits) {
                return;
            }
            long length = Math.min(nrBits - begin, 1 + random.nextInt(2 * meanRun));
            out.marked(begin, length);
            at = begin + length;
        }
    }

    private static void resize(Path file, long bytes) throws IOException {
        try (RandomAccessFile random = new RandomAccessFile(file.toFile(), "rw")) {
            random.setLength(0);
            random.setLength(bytes);
        }
    }

    private static void healthy(Path device, String what) throws IOException {
        try (FileBlockDevice file = FileBlockDevice.open(device, false)) {
            Health.require(file, what);
        }
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "1, 1", "1018, 300", "65536, 3", "1048576, 64", "20000000, 1"})
    void theFileForGeneratedMetadataIsLargeEnoughAndNotMuchLarger(long nrBlocks, long writesets) throws IOException {
        long blocks = MetadataBuilder.sufficientBlocks(nrBlocks, writesets);
        MemoryBlockDevice device = new MemoryBlockDevice((int) blocks);
        new MetadataGenerator(128, nrBlocks, writesets, writesets, 0.3, 8, 1).generate(new MetadataBuilder(device));
        Health.require(device, "generated");
        long used = org.dmera.core.read.MetadataRoots.read(device).allocatedBlocks();
        assertTrue(used <= blocks && blocks - used <= 2 + blocks / 50, used + " of " + blocks);
    }

    @Test
    void theSameSeedGivesTheSameMetadata() throws IOException {
        MemoryBlockDevice first = new MemoryBlockDevice(200);
        MemoryBlockDevice second = new MemoryBlockDevice(200);
        MetadataGenerator generator = new MetadataGenerator(128, 65536, 9, 3, 0.1, 16, 42);
        generator.generate(new MetadataBuilder(first));
        generator.generate(new MetadataBuilder(second));
        assertArrayEquals(first.bytes(), second.bytes());
    }

    @Test
    void moreMetadataThanTheFormatHasRoomForIsRefused() {
        MemoryBlockDevice device = new MemoryBlockDevice(100);
        IOException e = org.junit.jupiter.api.Assertions.assertThrows(
                IOException.class, () -> new MetadataBuilder(device).superblock(128, Integer.MAX_VALUE, 1));
        assertEquals(true, e.getMessage().startsWith("Output file too small"), e.getMessage());
        assertEquals(IndexBlock.MAX_METADATA_BLOCKS, MetadataBuilder.sufficientBlocks(Integer.MAX_VALUE, 100_000));
    }
}
