// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;
import org.dmera.core.persistent.NoSpaceException;
import org.dmera.testkit.EraModel;
import org.dmera.testkit.Health;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Metadata devices that somebody filled with archived writesets, as the kernel does when eras begin faster than it digests. */
class FullMetadataTest {
    private static final int BITS_OF_A_LEAF = 509 * 64;
    /** With so many free blocks any mark can be transcribed; the man page has the figure. */
    private static final int ENOUGH = 5;

    private static final int TRIALS = Boolean.getBoolean("era.nightly") ? 400 : 12;

    private enum Filling {
        /** Checkpoints alone. */
        NO_WRITES,
        /** Checkpoints after a few writes. */
        WRITES_AT_THE_BEGINNING,
        THE_SAME_BLOCKS_IN_EACH_ERA,
        OTHER_BLOCKS_IN_EACH_ERA,
        RANGES;

        int[] writes(int era, int nrBlocks, Random random) {
            int some = 1 + random.nextInt(10);
            return switch (this) {
                case NO_WRITES -> new int[0];
                case WRITES_AT_THE_BEGINNING ->
                    era > 3 ? new int[0] : random.ints(some, 0, nrBlocks).toArray();
                case THE_SAME_BLOCKS_IN_EACH_ERA ->
                    IntStream.range(0, 5).map(i -> i * nrBlocks / 5).toArray();
                case OTHER_BLOCKS_IN_EACH_ERA -> random.ints(some, 0, nrBlocks).toArray();
                case RANGES -> {
                    int from = random.nextInt(nrBlocks);
                    yield IntStream.range(from, Math.min(nrBlocks, from + random.nextInt(3000)))
                            .toArray();
                }
            };
        }

        /** Whether something is archived that digestion needs no era of. */
        boolean hasSuperseded() {
            return this == NO_WRITES || this == WRITES_AT_THE_BEGINNING || this == THE_SAME_BLOCKS_IN_EACH_ERA;
        }
    }

    /** Looks at what is on the device after each commit: what a crash there leaves. */
    private static final class Watched implements BlockDevice {
        private final MemoryBlockDevice device;
        private final int[] eras;
        private final String context;
        private boolean isSuperblockWritten;

        Watched(MemoryBlockDevice device, int[] eras, String context) {
            this.device = device;
            this.eras = eras;
            this.context = context;
        }

        @Override
        public long sizeBlocks() {
            return device.sizeBlocks();
        }

        @Override
        public void read(long firstBlock, ByteBuffer dst) throws IOException {
            device.read(firstBlock, dst);
        }

        @Override
        public void write(long firstBlock, ByteBuffer src) throws IOException {
            isSuperblockWritten |= firstBlock == 0;
            device.write(firstBlock, src);
        }

        @Override
        public void flush() throws IOException {
            if (isSuperblockWritten) {
                isSuperblockWritten = false;
                Health.require(device, context);
                assertNoneForgotten(eras, device, context);
            }
        }

        @Override
        public void close() {}
    }

    private static void assertNoneForgotten(int[] eras, BlockDevice device, String context) throws IOException {
        int[] found = EraModel.read(device).eras();
        int forgotten = IntStream.range(0, eras.length)
                .filter(i -> found[i] < eras[i])
                .findFirst()
                .orElse(-1);
        assertEquals(-1, forgotten, () -> context + ": " + eras[forgotten] + " comes out as " + found[forgotten]);
    }

    /** Begins eras until there is no room for another; returns the eras of all blocks. */
    private static int[] fill(MemoryBlockDevice device, int nrBlocks, Filling filling, Random random)
            throws IOException {
        int[] eras = new int[nrBlocks];
        EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
        metadata.resize(nrBlocks);
        try {
            for (int era = 1; ; era++) {
                metadata.rollover();
                metadata.commit();
                int[] blocks = filling.writes(era, nrBlocks, random);
                for (int block : blocks) {
                    metadata.mark(block);
                }
                metadata.commit();
                for (int block : blocks) {
                    eras[block] = era;
                }
            }
        } catch (NoSpaceException e) {
            return eras;
        }
    }

    @ParameterizedTest
    @EnumSource
    void aDeviceThatIsFullOfWritesetsComesBackByAResume(Filling filling) throws IOException {
        Random random = new Random(filling.ordinal());
        int[] tight = new int[ENOUGH];
        for (int trial = 0; trial < TRIALS; trial++) {
            int leaves = 1 + random.nextInt(5);
            int nrBlocks = leaves * BITS_OF_A_LEAF - random.nextInt(BITS_OF_A_LEAF - 1);
            MemoryBlockDevice device = new MemoryBlockDevice(45 * leaves + random.nextInt(60));
            int[] eras = fill(device, nrBlocks, filling, random);
            String context = filling + ", " + nrBlocks + " origin blocks, " + device.sizeBlocks() + " of metadata";
            EraMetadata metadata = EraMetadata.open(new Watched(device, eras.clone(), context), 8, 64);
            long free = metadata.transactionManager().spaceMap().nrFree();
            if (free < ENOUGH) {
                tight[(int) free]++;
            }
            List<String> answers = resumeAndGoOn(metadata, eras, random);
            if (free >= ENOUGH || filling.hasSuperseded()) {
                assertEquals(List.of("begun", "marked"), answers, context + ", free " + free);
                assertNoneForgotten(eras, device, context);
                assertTrue(
                        free < ENOUGH
                                || Arrays.equals(eras, EraModel.read(device).eras()),
                        context);
            } else if (!answers.equals(List.of("begun", "marked"))) {
                assertTrue(answers.get(0).contains("no space left on the metadata device"), answers::toString);
                assertTrue(answers.get(0).contains("era_restore"), answers::toString);
                assertNoneForgotten(eras, device, context);
            }
        }
        assertTrue(tight[3] + tight[4] > 1, () -> "devices with hardly a free block: " + Arrays.toString(tight));
    }

    /** Begins 20 eras with a write in each; returns the answers, each once. */
    private static List<String> resumeAndGoOn(EraMetadata metadata, int[] eras, Random random) throws IOException {
        List<String> answers = new ArrayList<>();
        EraWorker worker = new EraWorker(metadata);
        worker.beforeResume(eras.length);
        for (int i = 0; i < 20 && answers.stream().noneMatch(answer -> answer.contains("space")); i++) {
            boolean isResume = i == 0;
            int block = random.nextInt(eras.length);
            worker.pass(new EraWorker.Work() {
                @Override
                public EraWorker.Writes takeWrites() {
                    return isResume ? null : oneWrite(block, answers);
                }

                @Override
                public List<EraWorker.Call> takeCalls() {
                    return List.of(newEra(answers));
                }
            });
            if (!isResume) {
                eras[block] = (int) metadata.currentEra() - 1;
            }
        }
        return answers.stream().distinct().toList();
    }

    private static EraWorker.Writes oneWrite(int block, List<String> answers) {
        return new EraWorker.Writes() {
            @Override
            public int count() {
                return 1;
            }

            @Override
            public int block(int index) {
                return block;
            }

            @Override
            public void marked() {
                answers.add("marked");
            }

            @Override
            public void failed(Throwable why) {
                answers.add("write: " + why);
            }
        };
    }

    private static EraWorker.Call newEra(List<String> answers) {
        return new EraWorker.Call() {
            @Override
            public void run(EraMetadata metadata) throws IOException {
                metadata.rollover();
            }

            @Override
            public void done(Throwable why) {
                answers.add(why == null ? "begun" : why.toString());
            }
        };
    }

    @Test
    void toSqueezeAWritesetOutDatesNoMarkEarlierAndNoneMoreThanAnEraLater() throws IOException {
        Random random = new Random(7);
        int squeezed = 0;
        for (int trial = 0; trial < 10 * TRIALS; trial++) {
            int nrBlocks = 1 + random.nextInt(300);
            MemoryBlockDevice device = new MemoryBlockDevice(400);
            EraMetadata metadata = EraMetadata.openOrFormat(device, 8);
            metadata.resize(nrBlocks);
            int eras = 2 + random.nextInt(6);
            for (int era = 1; era <= eras; era++) {
                if (random.nextInt(6) == 0) {
                    // Writesets of other lengths.
                    metadata.resize(Math.max(1, nrBlocks - random.nextInt(100)));
                }
                metadata.rollover();
                int writes = random.nextInt(4);
                for (int i = 0; i < writes; i++) {
                    metadata.mark(random.nextInt(3) * (metadata.nrBlocks() - 1) / 2);
                }
            }
            metadata.resize(nrBlocks);
            metadata.archive();
            metadata.commit();
            int archived = metadata.writesets().entries().size();
            for (int i = 0; i < eras; i++) {
                int[] before = EraModel.read(device).eras();
                metadata.squeezeOutSupersededWriteset();
                metadata.commit();
                String context = "trial " + trial + ", " + i;
                Health.require(device, context);
                int[] after = EraModel.read(device).eras();
                for (int block = 0; block < nrBlocks; block++) {
                    int later = after[block] - before[block];
                    assertTrue(later == 0 || later == 1 && before[block] > 0, context);
                }
            }
            squeezed += archived - metadata.writesets().entries().size();
            int[] before = EraModel.read(device).eras();
            Digest digest = new Digest(metadata);
            digest.begin();
            boolean more = true;
            while (more) {
                digest.sparing(random.nextBoolean());
                more = digest.step();
            }
            metadata.commit();
            Health.require(device, "trial " + trial + ", digested");
            assertArrayEquals(before, EraModel.read(device).eras(), "trial " + trial + ", digested");
        }
        assertTrue(squeezed > 5 * TRIALS, "squeezed out " + squeezed);
    }
}
